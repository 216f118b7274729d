//! The forecasting plugin as its clients see it: through HTTP, on a real host.

mod accuracy;
mod anomalies;
mod budgets;
mod cached;
mod cost;
mod forecast;
mod own;
mod partial;
mod parts;
mod records;
mod shared;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::host::{Host, Setup};

/// A host with forecasting, and the keys of two customers.
struct Costs {
    host: Host,
    key: String,
    other: String,
}

impl Costs {
    fn open() -> Costs {
        Costs::on(Setup::new().forecasting().start())
    }

    fn on(host: Host) -> Costs {
        let (key, other) = (host.key("acme", &[]), host.key("globex", &[]));
        Costs { host, key, other }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.answer(path).await).await
    }

    /// What is answered with 200.
    async fn found(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn answer(&self, path: &str) -> Response {
        let path = format!("/costs{path}");
        self.host.get(&path, &self.key).send().await.unwrap()
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let path = format!("/costs{path}");
        let request = self.host.request(method, &path, &self.key).json(&body);
        read(request.send().await.unwrap()).await
    }

    async fn load_as(&self, media_type: &str, path: &str, body: String) -> (StatusCode, Value) {
        let request = self.host.post(&format!("/costs{path}"), &self.key);
        let request = request.header("content-type", media_type).body(body);
        read(request.send().await.unwrap()).await
    }

    /// Loads rows as JSON lines.
    async fn load(&self, rows: &[Value]) -> Value {
        let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
        let lines = lines.join("\n");
        let loaded = self.load_as("application/x-ndjson", "/records", lines);
        let (status, body) = loaded.await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    async fn computed(&self) -> f64 {
        let labels = ["plugin=\"forecasting\""];
        let name = "plugin_forecasts_computed_total";
        self.host.metric(name, &labels).await
    }
}

async fn read(answer: Response) -> (StatusCode, Value) {
    let status = answer.status();
    (status, answer.json().await.unwrap_or(Value::Null))
}

/// A month as the API writes it, so many months from this one.
fn month(from_now: i64) -> String {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let first = now.date().first_of_month();
    let month = first
        .checked_add(jiff::Span::new().months(from_now))
        .unwrap();
    month.strftime("%Y-%m").to_string()
}

/// A row of a whole month.
fn row(from_now: i64, service: &str, cost: &str) -> Value {
    let (start, end) = (month(from_now), month(from_now + 1));
    json!({
        "BilledCost": cost,
        "BillingCurrency": "USD",
        "BillingPeriodStart": format!("{start}-01T00:00:00Z"),
        "ChargePeriodStart": format!("{start}-01T00:00:00Z"),
        "ChargePeriodEnd": format!("{end}-01T00:00:00Z"),
        "ServiceName": service,
    })
}

/// Cents of a service that grows, has a season and some noise.
fn cents(month: i64, scale: f64) -> i64 {
    let season = (month as f64 * std::f64::consts::TAU / 12.0).sin();
    let noise = f64::from(u32::try_from(month * 7_919 % 101).unwrap()) / 101.0 - 0.5;
    let cost = 1_000.0 * scale * (0.01 * month as f64 + 0.2 * season + 0.1 * noise).exp();
    (cost * 100.0).round() as i64
}

fn decimal(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

/// The last so many whole months of a service.
fn months_of(service: &str, months: i64, scale: f64) -> Vec<Value> {
    let rows = (0..months).map(|index| row(index - months, service, &decimal(cents(index, scale))));
    rows.collect()
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

fn list(value: &Value) -> &Vec<Value> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"))
}
