//! Changes of a thing in the version that a client names (RFC 9110, sections 13.1.1 and
//! 13.1.2): the same for every thing that is shown with an ETag.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::host::Host;

/// So many changes at once name the same version.
const AT_ONCE: usize = 8;

/// A thing of a plugin, as one client sees it.
pub struct Thing<'h> {
    pub host: &'h Host,
    pub key: &'h str,
    pub path: &'h str,
}

impl Thing<'_> {
    pub async fn ask(&self, method: Method, body: Value, condition: (&str, &str)) -> StatusCode {
        let (name, value) = condition;
        let request = self.host.request(method, self.path, self.key);
        let request = request.header(name, value);
        let request = match body {
            Value::Null => request,
            body => request.json(&body),
        };
        request.send().await.unwrap().status()
    }

    /// What GET shows, and its tag.
    pub async fn shown(&self) -> (String, String) {
        let answer = self.host.get(self.path, self.key).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{}", self.path);
        let etag = answer.headers()["etag"].to_str().unwrap().to_string();
        (answer.text().await.unwrap(), etag)
    }

    /// PUT makes it only where it is wanted that there is none, once.
    pub async fn is_made_once(&self, body: &Value) {
        let put = |name, value| self.ask(Method::PUT, body.clone(), (name, value));
        for tag in ["*", "\"1\""] {
            let status = put("if-match", tag).await;
            assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{}", self.path);
        }
        let at_once = (0..AT_ONCE).map(|_| put("if-none-match", "*"));
        let statuses = join_all(at_once).await;
        let made = statuses.iter().filter(|status| status.is_success()).count();
        assert_eq!(made, 1, "{}: {statuses:?}", self.path);
    }

    /// A change is made where it names the version that there is; where it names another
    /// one nothing happens.
    pub async fn changes_in_its_version(&self, method: &Method, one: &Value, other: &Value) {
        let ask = |body: &Value, tag: String| {
            let body = body.clone();
            async move { self.ask(method.clone(), body, ("if-match", &tag)).await }
        };
        let (_, first) = self.shown().await;
        let status = ask(one, format!("\"other\", {first}")).await;
        assert!(status.is_success(), "{method} {}: {status}", self.path);
        let before = self.shown().await;
        assert_ne!(before.1, first, "{}", self.path);
        for stale in [first.clone(), format!("W/{}", before.1), "none".into()] {
            let status = ask(other, stale).await;
            let expected = StatusCode::PRECONDITION_FAILED;
            assert_eq!(status, expected, "{method} {}", self.path);
            assert_eq!(self.shown().await, before, "{}", self.path);
        }
        let gzip = before.1.trim_end_matches('"').to_string() + "--gzip\"";
        assert!(ask(other, gzip).await.is_success(), "{}", self.path);
    }

    /// Of many changes at once that name the version that there is, one is made.
    pub async fn changes_once(&self, method: &Method, body: &Value) {
        let (_, etag) = self.shown().await;
        let at_once =
            (0..AT_ONCE).map(|_| self.ask(method.clone(), body.clone(), ("if-match", &etag)));
        let statuses = join_all(at_once).await;
        let made = statuses.iter().filter(|status| status.is_success()).count();
        assert_eq!(made, 1, "{method} {}: {statuses:?}", self.path);
    }

    /// It is deleted in the version that there is, and in no other.
    pub async fn is_deleted_in_its_version(&self) {
        let delete = |tag: String| async move {
            self.ask(Method::DELETE, Value::Null, ("if-match", &tag))
                .await
        };
        let (_, etag) = self.shown().await;
        let status = delete("\"other\"".into()).await;
        assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{}", self.path);
        assert_eq!(self.shown().await.1, etag);
        assert_eq!(delete(etag).await, StatusCode::NO_CONTENT, "{}", self.path);
    }
}
