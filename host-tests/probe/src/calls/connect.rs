calls! {
    connect:
    drive {
        connect::AttemptId::index,
        connect::Limits::smart,
        connect::Limits::staggered,
        connect::Order::for_url,
        connect::Order::for_url_or,
        connect::Order::targets,
        connect::Plan::new,
        connect::Plan::poll,
        connect::Plan::prefer,
        connect::Plan::report_connected,
        connect::Plan::report_cut_off,
        connect::Plan::report_failed,
        connect::Plan::report_tcp,
        connect::Plan::winner,
        connect::Target::rtmp,
        connect::Target::rtmpt,
    }
    drive_as {
        connect::Plan::failures => |plan: &connect::Plan, show: fn((connect::Target, connect::Failure))| {
            plan.failures().for_each(show);
        },
        connect::Plan::reports => |plan: &connect::Plan, show: fn(connect::AttemptReport)| {
            plan.reports().for_each(show);
        },
    }
    display {
        connect::AttemptReport,
        connect::ConfigError,
        connect::Failure,
        connect::Outcome,
        connect::Target,
        connect::Transport,
    }
    format {
        connect::AttemptId,
        connect::AttemptReport,
        connect::ConfigError,
        connect::Failure,
        connect::Limits,
        connect::Order,
        connect::Outcome,
        connect::Plan,
        connect::Step,
        connect::Target,
        connect::Transport,
    }
}
