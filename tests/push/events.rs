//! A client of server-sent events, as the standard says (WHATWG HTML, section 9.2.6).

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::{Client, RequestBuilder, Response, StatusCode, header::HeaderMap};

use crate::harness::host::Host;

/// For ever, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub kind: String,
    pub data: String,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Event(Event),
    /// The stream ended as a whole.
    Ended,
    /// It was broken off.
    Broken,
}

pub struct Events {
    pieces: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
    /// What a browser would send when it comes back.
    pub last_id: String,
    pub retry_ms: Option<u64>,
    pub comments: usize,
    pub head: HeaderMap,
}

/// A client without a limit of time; each stream of HTTP/1 is a connection.
pub fn client() -> Client {
    Client::builder().build().unwrap()
}

/// Opens a stream of these channels; `more` goes behind them in the query.
pub async fn listen(host: &Host, key: &str, channels: &str, more: &str) -> Events {
    Events::open(asking(&client(), host, key, channels, more)).await
}

pub fn asking(
    client: &Client,
    host: &Host,
    key: &str,
    channels: &str,
    more: &str,
) -> RequestBuilder {
    let url = format!("{}/push/stream?channels={channels}{more}", host.url);
    client.get(url).header("x-api-key", key)
}

/// Publishes, and answers the id.
pub async fn publish(host: &Host, key: &str, channel: &str, data: &str) -> String {
    let answer = try_publish(host, key, channel, data).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.unwrap()
}

pub async fn try_publish(host: &Host, key: &str, channel: &str, data: &str) -> Response {
    let request = host.post(&format!("/push/publish/{channel}"), key);
    request.body(data.to_owned()).send().await.unwrap()
}

impl Events {
    pub async fn open(request: RequestBuilder) -> Events {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let head = answer.headers().clone();
        if status != StatusCode::OK {
            panic!("{status}: {}", answer.text().await.unwrap());
        }
        assert_eq!(head["content-type"], "text/event-stream");
        Events {
            pieces: answer.bytes_stream().boxed(),
            text: String::new(),
            last_id: String::new(),
            retry_ms: None,
            comments: 0,
            head,
        }
    }

    /// The next event, or the end.
    pub async fn next(&mut self) -> Next {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = self.read(&block) {
                    return Next::Event(event);
                }
            }
            match self.piece().await {
                Some(Ok(piece)) => self.text.push_str(str::from_utf8(&piece).unwrap()),
                Some(Err(_)) => return Next::Broken,
                None => return Next::Ended,
            }
        }
    }

    async fn piece(&mut self) -> Option<reqwest::Result<bytes::Bytes>> {
        let piece = tokio::time::timeout(PATIENCE, self.pieces.next()).await;
        piece.unwrap_or_else(|_| panic!("nothing came; so far: {:?}", self.text))
    }

    fn read(&mut self, block: &str) -> Option<Event> {
        let (mut kind, mut data) = (String::new(), Vec::new());
        for line in block.split('\n') {
            match line.split_once(": ").unwrap_or((line, "")) {
                ("id", id) => self.last_id = id.to_owned(),
                ("event", event) => kind = event.to_owned(),
                ("data", line) => data.push(line),
                ("retry", retry) => self.retry_ms = Some(retry.parse().unwrap()),
                (":", _) => self.comments += 1,
                ("", _) => {}
                other => panic!("no field: {other:?}"),
            }
        }
        (!data.is_empty()).then(|| Event {
            id: self.last_id.clone(),
            kind,
            data: data.join("\n"),
        })
    }

    pub async fn event(&mut self) -> Event {
        match self.next().await {
            Next::Event(event) => event,
            end => panic!("no event: {end:?}"),
        }
    }

    pub async fn data(&mut self) -> String {
        self.event().await.data
    }

    /// Reads until the host has given at least one id.
    pub async fn first_id(&mut self) -> String {
        while self.last_id.is_empty() {
            let piece = self.piece().await.unwrap().unwrap();
            self.text.push_str(str::from_utf8(&piece).unwrap());
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                assert_eq!(self.read(&block), None);
            }
        }
        self.last_id.clone()
    }
}
