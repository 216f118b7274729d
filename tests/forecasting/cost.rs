//! What the requests of forecasting cost, as counts: the same for a customer with a
//! hundred records and one with twenty thousand, in tables that nobody ever analysed. Each
//! budget says what spends it.

use std::cell::Cell;

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{Costs, month, months_of};
use crate::harness::fleet::Fleet;
use crate::harness::host::Setup;
use crate::harness::meter::{Measured, Meter, budget};
use crate::harness::postgres::Cluster;

const MONTHS: i64 = 30;

/// So many records of the customer who has some, in months before the last one. Their sums
/// are left as they are: of these there are as many whatever the records.
async fn fill(cluster: &Cluster, from: i64, to: i64) {
    let rows = format!(
        "SET search_path = plugin_forecasting; SET session_replication_role = replica;
        SET synchronous_commit = off;
        INSERT INTO cost_records (customer_id, source, row_id, has_own_id, billing_month, month,
            currency, service, account, tags, billed, effective, list, contracted)
        SELECT customer_id, 'filled', 'row' || n, true, month, month, 'USD', 'service' || n % 5, '',
            '{{}}', 1, 1, 1, 1
        FROM cost_ledger, generate_series({from}, {to}) AS n,
            LATERAL (SELECT 12 * extract(year FROM now()) + extract(month FROM now()) - 3
                - n % {MONTHS} AS month) AS of_row"
    );
    let client = cluster.connect(None).await;
    client.batch_execute(&rows).await.unwrap();
}

fn requests<'r>(costs: &'r Costs) -> Vec<Measured<'r>> {
    let get = |name, path: &'static str, budget| Measured {
        name,
        budget,
        request: Box::new(move || costs.host.get(path, &costs.key)),
    };
    let measured = |name, budget, request: Box<dyn Fn() -> RequestBuilder + 'r>| Measured {
        name,
        budget,
        request,
    };
    let since = Cell::new(0);
    let another = move || {
        since.set(since.get() + 1);
        let path = format!("/costs/history?from={}", month(-since.get()));
        costs.host.get(&path, &costs.key)
    };
    let load = move || {
        let lines = months_of("a", 1, 1.0).into_iter().map(|mut row| {
            row["x_RowId"] = json!("one");
            row.to_string()
        });
        let request = costs.host.post("/costs/records", &costs.key);
        let request = request.header("content-type", "application/x-ndjson");
        request.body(lines.collect::<String>())
    };
    let put = move || {
        let request = costs
            .host
            .request(Method::PUT, "/costs/budgets/all", &costs.key);
        request.json(&json!({"amount": 1_000_000}))
    };
    vec![
        // The last load, the currency, the last months of it, and the sum of each month.
        measured("history", budget(4, 40, 20, 100), Box::new(another)),
        // What was computed is in the cache: the number of the last load names it.
        get("history again", "/costs/history", budget(1, 1, 4, 100)),
        get("forecast again", "/costs/forecast", budget(1, 1, 4, 100)),
        // The budget and its alerts, and what its months cost.
        get("budget", "/costs/budgets/all", budget(6, 40, 25, 100)),
        // The same in its transaction and again for the answer.
        measured("change of a budget", budget(14, 80, 50, 800), Box::new(put)),
        // A month is summed again, the budget looked at, and what loads in parts are open.
        // Without statistics a table of a hundred rows is as good read whole.
        measured("load", budget(11, 340, 260, 1_500), Box::new(load)),
    ]
}

/// What of the requests costs more than it may. What is asked again was asked before.
async fn excess(costs: &Costs, meter: &Meter, state: &str) -> Vec<String> {
    costs.found("/history").await;
    costs.found("/forecast").await;
    meter.excess(&requests(costs), state).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_cost_the_same_at_a_hundred_and_at_twenty_thousand_records() {
    let mut fleet = Fleet::start().await;
    Meter::prepare(&mut fleet.cluster).await;
    let costs = Costs::on(fleet.host(Setup::forecasting));
    costs.load(&months_of("a", MONTHS, 1.0)).await;
    let all = json!({"amount": 1_000_000});
    costs.send(Method::PUT, "/budgets/all", all).await;
    let meter = Meter::of(&fleet.cluster, "forecasting").await;
    fill(&fleet.cluster, 1, 100).await;
    let mut over = excess(&costs, &meter, "a hundred records").await;
    fill(&fleet.cluster, 101, 20_000).await;
    over.extend(excess(&costs, &meter, "twenty thousand").await);
    assert!(over.is_empty(), "{}", over.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_with_ids_load_for_a_customer_whom_no_statistics_know() {
    let mut fleet = Fleet::start().await;
    Meter::prepare(&mut fleet.cluster).await;
    let costs = Costs::on(fleet.host(Setup::forecasting));
    let of_another = costs.host.post("/costs/records", &costs.other);
    let of_another = of_another.json(&months_of("a", 1, 1.0));
    assert_eq!(of_another.send().await.unwrap().status(), 200);
    fill(&fleet.cluster, 1, 50_000).await;
    let client = fleet.cluster.connect(None).await;
    let analyse = "ANALYZE plugin_forecasting.cost_records";
    client.batch_execute(analyse).await.unwrap();
    let rows: Vec<_> = (0..20_000)
        .map(|index| {
            let mut row = months_of("a", 1, 1.0).remove(0);
            row["x_RowId"] = json!(format!("own-{index}"));
            row
        })
        .collect();
    for replaced in [0, 20_000] {
        let loaded = costs.load(&rows).await;
        assert_eq!(loaded["replaced"], replaced, "{loaded}");
    }
}
