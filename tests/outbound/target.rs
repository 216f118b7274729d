//! Reading URLs and grants, without any network.

use hearth::capability::outbound::Pattern;
use hearth::capability::outbound::target::Target;
use proptest::prelude::*;

fn read(url: &str) -> Result<String, String> {
    match Target::parse(url, 8_192) {
        Ok(target) => Ok(format!("{}{}", target.destination, target.path)),
        Err(error) => Err(error.to_string()),
    }
}

fn matches(pattern: &str, url: &str) -> bool {
    let target = Target::parse(url, 8_192).unwrap();
    Pattern::parse(pattern)
        .unwrap()
        .matches(&target.destination)
}

#[test]
fn url_is_read_as_the_standard_reads_it() {
    for (url, expected) in [
        ("https://example.com", "https://example.com:443/"),
        (
            "HTTPS://EXAMPLE.com/A?b=C#d",
            "https://example.com:443/A?b=C",
        ),
        (
            "http://example.com:8080/a/../b",
            "http://example.com:8080/b",
        ),
        ("https://example.com:443/", "https://example.com:443/"),
        ("https://example.com./", "https://example.com:443/"),
        (
            "https://bücher.example/ü",
            "https://xn--bcher-kva.example:443/%C3%BC",
        ),
        ("https://example.com?q", "https://example.com:443/?q"),
        ("http://127.0.0.1/", "http://127.0.0.1:80/"),
        ("http://2130706433/", "http://127.0.0.1:80/"),
        ("http://0x7f.1/", "http://127.0.0.1:80/"),
        ("http://0177.0.0.01/", "http://127.0.0.1:80/"),
        ("http://127.1./", "http://127.0.0.1:80/"),
        ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1:80/"),
        ("http://127。0。0。1/", "http://127.0.0.1:80/"),
        (
            "http://[::FFFF:127.0.0.1]:81/",
            "http://[::ffff:127.0.0.1]:81/",
        ),
    ] {
        assert_eq!(read(url).as_deref(), Ok(expected), "{url}");
    }
}

#[test]
fn url_that_could_be_read_in_two_ways_is_refused() {
    for url in [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https:example.com",
        "https:/example.com",
        "https:///example.com/",
        "https:////example.com/",
        "https://",
        "https://?q",
        "https://#f",
        "https://:443/",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://127.0.0.1@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com\\.evil.example/",
        "https://exa\tmple.com/",
        "https://exa\nmple.com/",
        "https://example.com/\r\nhost: evil.example",
        " https://example.com/",
        "https://example.com/ ",
        "https://example.com/a b",
        "https://exa%6dple.com/",
        "https://%31%32%37.0.0.1/",
        "https://127.0.0.1%2f.example.com/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://::1/",
        "https://1.2.3.4.5/",
        "https://256.1.1.1/",
        "https://127.0.0.1../",
        "https://0x7f.0.0.1../",
        "https://example..com/",
        "https://.example.com/",
        "https://exa mple.com/",
        "https://exa*mple.com/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:x/",
        "https://example.com:80:80/",
        "https://exam\u{0}ple.com/",
        "https://a.9/",
        "https://a.0x1/",
    ] {
        let read = read(url);
        assert!(read.is_err(), "{url:?} is {read:?}");
    }
    let long = format!("https://example.com/{}", "a".repeat(8_192));
    assert!(read(&long).unwrap_err().contains("outbound.url_bytes_max"));
    let label = format!("https://{}.com/", "a".repeat(64));
    assert!(read(&label).is_err());
    let name = format!("https://{}com/", "abcd.".repeat(51));
    assert!(read(&name).is_err());
}

#[test]
fn grant_is_for_its_scheme_host_and_port() {
    for (pattern, url, expected) in [
        ("https://example.com", "https://example.com/a?b", true),
        ("https://example.com", "https://EXAMPLE.com./", true),
        ("https://example.com", "https://example.com:443/", true),
        ("https://example.com", "http://example.com/", false),
        ("https://example.com", "https://example.com:8443/", false),
        ("https://example.com", "https://www.example.com/", false),
        (
            "https://example.com",
            "https://example.com.evil.example/",
            false,
        ),
        (
            "https://example.com:8443",
            "https://example.com:8443/",
            true,
        ),
        ("https://example.com:8443", "https://example.com/", false),
        ("https://example.com:*", "https://example.com:1/", true),
        ("https://*.example.com", "https://a.example.com/", true),
        ("https://*.example.com", "https://a.b.example.com/", true),
        ("https://*.example.com", "https://example.com/", false),
        ("https://*.example.com", "https://badexample.com/", false),
        (
            "https://*.example.com",
            "https://example.com.evil.example/",
            false,
        ),
        ("https://*", "https://anything.example/", true),
        ("https://*", "https://93.184.216.34/", true),
        ("https://*", "https://anything.example:8443/", false),
        ("https://*", "http://anything.example/", false),
        ("https://*:*", "https://anything.example:8443/", true),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/", true),
        ("http://127.0.0.1:9000", "http://2130706433:9000/", true),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9001/", false),
        (
            "http://127.0.0.1:9000",
            "http://[::ffff:127.0.0.1]:9000/",
            false,
        ),
        ("http://[::1]:9000", "http://[0:0::1]:9000/", true),
        (
            "https://xn--bcher-kva.example",
            "https://bücher.example/",
            true,
        ),
    ] {
        assert_eq!(matches(pattern, url), expected, "{pattern} {url}");
    }
}

#[test]
fn grant_with_two_spellings_is_refused() {
    for pattern in [
        "",
        "*",
        "example.com",
        "//example.com",
        "HTTPS://example.com",
        "ftp://example.com",
        "*://example.com",
        "https://",
        "https://Example.com",
        "https://example.com.",
        "https://example.com/",
        "https://example.com/path",
        "https://*/path",
        "https://example.com?q",
        "https://example.com#f",
        "https://user@example.com",
        "https://example.com:443",
        "http://example.com:80",
        "https://example.com:0",
        "https://example.com:08443",
        "https://example.com:+8443",
        "https://example.com:70000",
        "https://example.com:",
        "https://a.*.com",
        "https://a*.example.com",
        "https://*example.com",
        "https://**",
        "https://*.*",
        "https://*.",
        "https://*.127.0.0.1",
        "https://*.1",
        "https://bücher.example",
        "http://2130706433:9000",
        "http://0x7f.1:9000",
        "http://[0::1]:9000",
        "http://[::1:9000",
        "http://::1",
        "https://example.com\\",
        "https:// example.com",
    ] {
        let read = Pattern::parse(pattern);
        assert!(read.is_err(), "{pattern:?} is {read:?}");
    }
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in ".{0,200}") {
        let _ = read(&text);
        let _ = read(&format!("http://{text}"));
        let _ = Pattern::parse(&format!("https://{text}"));
    }

    /// Read again, what was read is the same: nobody further on sees another host.
    #[test]
    fn what_was_read_reads_the_same(host in "[a-z0-9.\\-_0x\\[\\]:①。]{1,30}", path in "[ -~]{0,20}") {
        let url = format!("http://{host}/{path}");
        if let Ok(target) = Target::parse(&url, 8_192) {
            let again = format!("{}{}", target.destination, target.path);
            prop_assert_eq!(Target::parse(&again, 8_192).unwrap(), target);
        }
    }
}
