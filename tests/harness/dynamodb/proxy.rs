//! A server in front of a DynamoDB that speaks its protocol through, and lets a test
//! decide what becomes of each request.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// DynamoDB answers it.
    Pass,
    /// DynamoDB gets it, and its answer is lost with the connection.
    LoseAnswer,
    /// DynamoDB does not get it: the connection ends.
    Cut,
    /// DynamoDB does not get it: it throttles.
    Throttle,
    /// DynamoDB does not get it: it has trouble of its own.
    Fail,
    /// DynamoDB does not get it: it finds it wrong.
    Refuse,
    /// Of a BatchWriteItem or BatchGetItem: DynamoDB does not get these of its writes or
    /// keys, and they are answered as unprocessed.
    Unprocessed(Vec<usize>),
}

/// A request on its way.
pub struct Request {
    /// For example `BatchWriteItem`.
    pub operation: String,
    pub body: Value,
    /// Of the body as it came.
    pub bytes: usize,
    /// What DynamoDB's answer was, where the request was passed and has been answered.
    pub read: OnceLock<Read>,
}

/// What a request read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Read {
    /// Those that a Query looked at, or that were there.
    pub items: u64,
    /// Of the answer's body.
    pub bytes: usize,
}

impl Read {
    fn of(answer: &[u8]) -> Read {
        let body: Value = serde_json::from_slice(answer).unwrap_or_default();
        let tables = body["Responses"].as_object().into_iter().flatten();
        let found = tables.map(|(_, items)| items.as_array().unwrap().len() as u64);
        let scanned = body["ScannedCount"].as_u64().unwrap_or_default();
        Read {
            items: scanned + found.sum::<u64>() + u64::from(body["Item"].is_object()),
            bytes: answer.len(),
        }
    }
}

impl Request {
    /// Partition and sort key of each write of a BatchWriteItem.
    pub fn keys(&self) -> Vec<(String, String)> {
        let tables = self.body["RequestItems"].as_object();
        let tables = tables.into_iter().flat_map(|tables| tables.values());
        let writes = tables.filter_map(Value::as_array).flatten();
        let key = |write: &Value| {
            let put = &write["PutRequest"]["Item"];
            let delete = &write["DeleteRequest"]["Key"];
            let of = if put.is_object() { put } else { delete };
            let text = |name: &str| of[name]["S"].as_str().unwrap().to_owned();
            (text("pk"), text("sk"))
        };
        writes.map(key).collect()
    }

    /// Partition and sort key of each item that a BatchGetItem wants.
    pub fn wanted(&self) -> Vec<(String, String)> {
        let tables = self.body["RequestItems"].as_object();
        let tables = tables.into_iter().flat_map(|tables| tables.values());
        let keys = tables.flat_map(|wanted| wanted["Keys"].as_array().unwrap());
        let text = |key: &Value, name: &str| key[name]["S"].as_str().unwrap().to_owned();
        keys.map(|key| (text(key, "pk"), text(key, "sk"))).collect()
    }

    /// How many writes a BatchWriteItem has.
    pub fn writes(&self) -> usize {
        self.keys().len()
    }

    pub fn is_batch(&self) -> bool {
        self.operation == "BatchWriteItem"
    }
}

type Decide = dyn Fn(Arc<Request>) -> BoxFuture<'static, Fate> + Send + Sync;

/// Dropped, it is gone.
pub struct Proxy {
    pub url: String,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    /// Every request waits for what `decide` says. A client that goes away meanwhile
    /// takes its request with it.
    pub async fn start<D, F>(upstream: &str, decide: D) -> Proxy
    where
        D: Fn(Arc<Request>) -> F + Send + Sync + 'static,
        F: Future<Output = Fate> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let decide: Arc<Decide> = Arc::new(move |request| Box::pin(decide(request)));
        let through = Through {
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            decide,
        };
        let accepting = tokio::spawn(accept(listener, Arc::new(through)));
        Proxy { url, accepting }
    }
}

async fn accept(listener: TcpListener, through: Arc<Through>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let through = through.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| through.clone().answer(request));
            let served = hyper::server::conn::http1::Builder::new();
            // A request that is cut is an error, and meant to be one.
            let _ = served.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

struct Through {
    upstream: String,
    client: reqwest::Client,
    decide: Arc<Decide>,
}

type Answer = hyper::Response<Full<Bytes>>;

/// The connection ends without an answer.
#[derive(Debug)]
struct IsCut;

impl std::fmt::Display for IsCut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for IsCut {}

impl Through {
    async fn answer(self: Arc<Self>, request: hyper::Request<Incoming>) -> Result<Answer, IsCut> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| IsCut)?.to_bytes();
        let target = head.headers["x-amz-target"].to_str().unwrap();
        let request = Arc::new(Request {
            operation: target.rsplit('.').next().unwrap().to_owned(),
            body: serde_json::from_slice(&body).unwrap(),
            bytes: body.len(),
            read: OnceLock::new(),
        });
        match (self.decide)(request.clone()).await {
            Fate::Pass => {
                let answer = self.pass(head.headers, body).await;
                let text = answer.body().clone().collect().await.unwrap().to_bytes();
                let _ = request.read.set(Read::of(&text));
                Ok(answer)
            }
            Fate::LoseAnswer => {
                self.pass(head.headers, body).await;
                Err(IsCut)
            }
            Fate::Cut => Err(IsCut),
            Fate::Throttle => Ok(refusal(
                StatusCode::BAD_REQUEST,
                "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            )),
            Fate::Fail => Ok(refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "com.amazonaws.dynamodb.v20120810#InternalServerError",
            )),
            Fate::Refuse => Ok(refusal(
                StatusCode::BAD_REQUEST,
                "com.amazon.coral.validate#ValidationException",
            )),
            Fate::Unprocessed(places) if request.is_batch() => {
                Ok(self.in_part(head.headers, &request, &places).await)
            }
            Fate::Unprocessed(places) => {
                Ok(self.keys_in_part(head.headers, &request, &places).await)
            }
        }
    }

    async fn pass(&self, headers: HeaderMap, body: Bytes) -> Answer {
        let mut request = self.client.post(&self.upstream).body(body);
        for (name, value) in &headers {
            if !["host", "content-length"].contains(&name.as_str()) {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.unwrap();
        let mut through = hyper::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            through = through.header(name, value);
        }
        let body = answer.bytes().await.unwrap();
        through.body(Full::new(body)).unwrap()
    }

    /// The writes at these places are left out and answered as unprocessed.
    async fn in_part(&self, headers: HeaderMap, request: &Request, places: &[usize]) -> Answer {
        let mut unprocessed = json!({});
        let mut body = request.body.clone();
        for (table, writes) in body["RequestItems"].as_object_mut().unwrap() {
            let (mut kept, mut left) = (Vec::new(), Vec::new());
            for (place, write) in writes.as_array().unwrap().iter().enumerate() {
                let to = if places.contains(&place) {
                    &mut left
                } else {
                    &mut kept
                };
                to.push(write.clone());
            }
            (*writes, unprocessed[table]) = (kept.into(), left.into());
        }
        if request.writes() > places.len() {
            let text = Bytes::from(body.to_string());
            let passed = self.pass(headers, text).await;
            assert_eq!(passed.status(), StatusCode::OK, "{passed:?}");
        }
        json_answer(StatusCode::OK, &json!({"UnprocessedItems": unprocessed}))
    }

    /// The same with the keys of a BatchGetItem.
    async fn keys_in_part(
        &self,
        headers: HeaderMap,
        request: &Request,
        places: &[usize],
    ) -> Answer {
        let (mut body, mut unprocessed) = (request.body.clone(), json!({}));
        let is_left = |place: &usize| places.contains(place);
        for (table, wanted) in body["RequestItems"].as_object_mut().unwrap() {
            let keys = wanted["Keys"].as_array().unwrap().clone();
            let some = |left: bool| {
                let keys = keys.iter().enumerate();
                let keys = keys.filter(|(place, _)| is_left(place) == left);
                keys.map(|(_, key)| key.clone()).collect::<Vec<_>>()
            };
            unprocessed[table] = json!({"Keys": some(true)});
            wanted["Keys"] = json!(some(false));
        }
        let responses = match request.wanted().len() > places.len() {
            true => {
                let passed = self.pass(headers, Bytes::from(body.to_string())).await;
                let answer = passed.into_body().collect().await.unwrap().to_bytes();
                serde_json::from_slice::<Value>(&answer).unwrap()["Responses"].clone()
            }
            false => json!({}),
        };
        json_answer(
            StatusCode::OK,
            &json!({"Responses": responses, "UnprocessedKeys": unprocessed}),
        )
    }
}

fn refusal(status: StatusCode, kind: &str) -> Answer {
    json_answer(
        status,
        &json!({"__type": kind, "message": "so the test wants it"}),
    )
}

fn json_answer(status: StatusCode, body: &Value) -> Answer {
    hyper::Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap()
}
