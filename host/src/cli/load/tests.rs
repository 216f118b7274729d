//! The command line, and the JSON that it leaves.

use clap::Parser;

use super::report::VERSION;
use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn parse(words: &[&str]) -> Result<Args, clap::Error> {
    Command::try_parse_from([&["load"], words].concat()).map(|command| command.args)
}

fn refusal(words: &[&str]) -> String {
    parse(words).unwrap_err().to_string()
}

#[test]
fn defaults_are_the_guide_s_load_test() {
    let args = parse(&[]).unwrap();
    assert_eq!(
        (args.requests, args.concurrency, args.expect),
        (100, 100, 200)
    );
    assert_eq!(
        (args.method.as_str(), args.path.as_str()),
        ("POST", "/support/tickets/create")
    );
    assert!(!args.any_address);
}

#[test]
fn counts_out_of_bounds_are_refused_with_their_bounds() {
    for (words, bounds) in [
        (["--requests", "1000001"], "1..=1000000"),
        (["--requests", "0"], "1..=1000000"),
        (["--concurrency", "10001"], "1..=10000"),
        (["--concurrency", "0"], "1..=10000"),
        (["--timeout-ms", "0"], "1..=600000"),
        (["--expect", "100"], "200..=599"),
    ] {
        let told = refusal(&words);
        assert!(told.contains(bounds) && told.contains(words[0]), "{told}");
    }
    assert!(parse(&["--requests", "1000000", "--concurrency", "10000"]).is_ok());
}

#[test]
fn nonsense_is_refused() {
    for words in [
        ["--path", "tickets"],
        ["--path", "/a b"],
        ["--method", "BREW"],
        ["--threshold-percent", "NaN"],
        ["--threshold-percent", "-1"],
        ["--key", "a\nb"],
        ["--compare", "one.json"],
    ] {
        refusal(&words);
    }
}

#[test]
fn method_is_taken_in_any_case() {
    assert_eq!(parse(&["--method", "get"]).unwrap().method, Method::GET);
}

#[test]
fn compare_goes_with_nothing_that_sends() {
    for words in [
        ["--requests", "5"],
        ["--url", "http://127.0.0.1:1"],
        ["--out", "x"],
    ] {
        refusal(&[&["--compare", "a", "b"], words.as_slice()].concat());
    }
    assert!(parse(&["--compare", "a", "b", "--threshold-percent", "5", "--json"]).is_ok());
    refusal(&["--threshold-percent", "5"]);
}

#[test]
fn key_is_not_shown_when_printed() {
    let args = parse(&["--key", "hk_verysecret"]).unwrap();
    assert!(!format!("{args:?}").contains("verysecret"));
}

#[test]
fn report_of_another_version_is_named_as_such() {
    let next = VERSION + 1;
    let told = Report::parse(format!(r#"{{"version":{next},"new":[]}}"#).as_bytes()).unwrap_err();
    assert!(
        told.contains(&format!("its version {next} is unsupported")),
        "{told}"
    );
}
