//! Load over HTTP by wrk, a program of others, so that the side which is measured and
//! whoever measures it are not of one hand.

use std::io::Write;
use std::process::Stdio;

use tempfile::NamedTempFile;
use tokio::process::Command;

use super::settings;
use crate::harness::tool::tool;

pub const CONNECTIONS: usize = 16;

/// What wrk measured.
#[derive(Clone, Copy, Debug)]
pub struct WrkResult {
    /// Requests in a second.
    pub rate: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// A request that is sent again and again.
pub struct Target {
    url: String,
    script: NamedTempFile,
}

/// Tells wrk's own numbers, exactly, in the order in which [`read`] wants them. Answers
/// from 400 on are errors as connections that break are.
const DONE: &str = r#"
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("measured %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
"#;

/// Each path in turn.
const EACH: &str = r#"
local made, at = {}, 0
function init(args)
  for place, path in ipairs(paths) do made[place] = wrk.format(nil, path) end
end
function request()
  at = at % #made + 1
  return made[at]
end
"#;

impl Target {
    pub fn get(url: &str, path: &str, key: &str) -> Target {
        Target::new(&format!("{url}{path}"), key, "")
    }

    /// One path after the other, from the first again.
    pub fn get_each(url: &str, paths: &[String], key: &str) -> Target {
        let paths: Vec<String> = paths.iter().map(|path| format!("[==[{path}]==]")).collect();
        let list = format!("local paths = {{{}}}\n{EACH}", paths.join(", "));
        Target::new(url, key, &list)
    }

    pub fn post(url: &str, path: &str, key: &str, body: &str) -> Target {
        let more = format!(
            "wrk.method = \"POST\"\nwrk.body = [==[{body}]==]\n\
             wrk.headers[\"Content-Type\"] = \"application/json\"\n"
        );
        Target::new(&format!("{url}{path}"), key, &more)
    }

    /// Without a key where it is empty.
    fn new(url: &str, key: &str, more: &str) -> Target {
        let mut script = NamedTempFile::with_suffix(".lua").unwrap();
        if !key.is_empty() {
            writeln!(script, "wrk.headers[\"X-API-Key\"] = \"{key}\"").unwrap();
        }
        write!(script, "{more}{DONE}").unwrap();
        Target {
            url: url.into(),
            script,
        }
    }

    /// A load of the usual length.
    pub async fn turn(&self) -> WrkResult {
        self.load(settings::seconds()).await
    }

    /// From one thread over sixteen connections. Any error is the benchmark's end: what
    /// refuses quickly is not fast.
    pub async fn load(&self, seconds: u64) -> WrkResult {
        let mut command = Command::from(tool("wrk"));
        command
            .args(["-t1", "--timeout", "30s"])
            .args(["-c", &CONNECTIONS.to_string()])
            .arg(format!("-d{seconds}s"))
            .arg("-s")
            .arg(self.script.path())
            .arg(&self.url)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ended = command.output().await.unwrap();
        let told = String::from_utf8_lossy(&ended.stdout).into_owned();
        let erred = String::from_utf8_lossy(&ended.stderr);
        read(&told).unwrap_or_else(|why| panic!("wrk {}: {why}\n{told}{erred}", self.url))
    }
}

fn read(told: &str) -> Result<WrkResult, String> {
    let line = told.lines().find_map(|line| line.strip_prefix("measured "));
    let numbers = line.unwrap_or_default().split(' ');
    let numbers: Vec<f64> = numbers.filter_map(|number| number.parse().ok()).collect();
    let [requests, duration_us, p50_us, p99_us, errors] = numbers[..] else {
        return Err("it told no numbers".into());
    };
    match errors {
        0.0 => Ok(WrkResult {
            rate: requests / (duration_us / 1_000_000.0),
            p50_us,
            p99_us,
        }),
        errors => Err(format!("{errors} of {requests} requests failed")),
    }
}

#[test]
fn numbers_of_wrk_are_read_and_errors_are_refused() {
    let load = read("Running\nmeasured 5000 2000000 300 900 0\n").unwrap();
    assert_eq!(
        (load.rate, load.p50_us, load.p99_us),
        (2500.0, 300.0, 900.0)
    );
    assert!(
        read("measured 5000 2000000 300 900 3\n")
            .unwrap_err()
            .contains("3 of 5000")
    );
    assert!(read("unable to connect\n").is_err());
}
