calls! {
    port_plan:
    drive {
        port_plan::Allowed::default_order,
        port_plan::AttemptId::index,
        port_plan::Limits::smart,
        port_plan::Limits::staggered,
        port_plan::Order::for_url,
        port_plan::Order::for_url_or,
        port_plan::Order::targets,
        port_plan::Plan::dial_again,
        port_plan::Plan::for_targets,
        port_plan::Plan::new,
        port_plan::Plan::handle_timeout,
        port_plan::Plan::poll_event,
        port_plan::Plan::poll_timeout,
        port_plan::Plan::prefer,
        port_plan::Plan::report_connected,
        port_plan::Plan::report_cut_off,
        port_plan::Plan::report_failed,
        port_plan::Plan::report_tcp,
        port_plan::Plan::report_untrusted,
        port_plan::Plan::targets,
        port_plan::Plan::winner,
        port_plan::Sequence::deadline,
        port_plan::Sequence::dial,
        port_plan::Sequence::dial_again,
        port_plan::Sequence::new,
        port_plan::Sequence::prefer,
        port_plan::Sequence::report_tcp,
        port_plan::Target::new,
        port_plan::Target::rtmp,
        port_plan::Target::rtmpe,
        port_plan::Target::rtmps,
        port_plan::Target::rtmpt,
        port_plan::Target::rtmpte,
        port_plan::Target::rtmpts,
        port_plan::Transport::is_rtmpe,
        port_plan::Transport::is_tls,
        port_plan::Transport::is_tunnel,
        port_plan::Transport::of,
    }
    drive_as {
        port_plan::Plan::failures => |plan: &port_plan::Plan, show: fn((port_plan::Target, port_plan::Failure))| {
            plan.failures().for_each(show);
        },
        port_plan::Plan::reports => |plan: &port_plan::Plan, show: fn(port_plan::AttemptReport)| {
            plan.reports().for_each(show);
        },
    }
    display {
        port_plan::AttemptReport,
        port_plan::PlanError,
        port_plan::Failure,
        port_plan::Outcome,
        port_plan::Target,
        port_plan::Transport,
    }
    format {
        port_plan::Allowed,
        port_plan::AttemptId,
        port_plan::AttemptReport,
        port_plan::PlanError,
        port_plan::Failure,
        port_plan::Limits,
        port_plan::Order,
        port_plan::Outcome,
        port_plan::Plan,
        port_plan::PlanEvent,
        port_plan::Sequence,
        port_plan::Target,
        port_plan::Transport,
    }
}
