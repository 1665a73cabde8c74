calls! {
    url:
    drive {
        url::Options::new,
        url::Scheme::as_str,
        url::Scheme::default_port,
        url::Scheme::is_tls,
        url::Scheme::permits,
        url::Url::app,
        url::Url::check_redirect,
        url::Url::host,
        url::Url::host_is_ipv6,
        url::Url::has_key,
        url::Url::is_on_host_of,
        url::Url::key_parts,
        url::Url::parse,
        url::Url::parse_with,
        url::Url::password,
        url::Url::port,
        url::Url::redirected,
        url::Url::scheme,
        url::Url::tc_url_parts,
        url::Url::user,
        url::Url::with_app,
    }
    drive_as {}
    display {
        url::RedirectError,
        url::Scheme,
        url::UrlError,
    }
    format {
        url::RedirectError,
        url::AppEnd,
        url::SingleSegment,
        url::Options,
        url::Scheme,
        url::Url,
        url::UrlError,
    }
}
