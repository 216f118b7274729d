//! How long it may all take: numbers of the environment, each within bounds. A quick try
//! is `BENCH_ROUNDS=1 BENCH_SECONDS=1`; what the bars are said of is the default.

/// How often each side has its turn.
pub fn rounds() -> usize {
    usize::try_from(number("BENCH_ROUNDS", 5, 25)).unwrap()
}

/// How long one turn of a load lasts.
pub fn seconds() -> u64 {
    number("BENCH_SECONDS", 5, 60)
}

/// How long tickets are made without a pause.
pub fn sustained_seconds() -> u64 {
    number("BENCH_SUSTAINED_SECONDS", 300, 3_600)
}

/// What a customer has who has much: tickets, and events.
pub fn rows() -> u64 {
    number("BENCH_ROWS", 1_000_000, 10_000_000)
}

/// How many plugins are many.
pub fn plugins() -> usize {
    usize::try_from(number("BENCH_PLUGINS", 1_000, 5_000)).unwrap()
}

/// Whether docs/performance.md is written anew.
pub fn publishes() -> bool {
    std::env::var_os("BENCH_PUBLISH").is_some_and(|value| value == "1")
}

fn number(name: &str, default: u64, max: u64) -> u64 {
    let Ok(text) = std::env::var(name) else {
        return default;
    };
    let number = text.parse().unwrap_or(0);
    assert!(
        (1..=max).contains(&number),
        "{name} is `{text}`: give a number from 1 to {max}"
    );
    number
}
