//! What the guest `echo` answers at its mount, by the standard's own interface: for the
//! benchmark against `wasmtime serve`, and for no host of ours.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Served;

impl Guest for Served {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let body = format!("[\"{path}\",\"cus_0123456789abcdefghijklmnop\",\"\"]");
        let headers = Fields::new();
        let json = b"application/json".to_vec();
        headers
            .append("content-type", &json)
            .expect("a header that may be set");
        let response = OutgoingResponse::new(headers);
        let outgoing = response.body().expect("nobody has its body yet");
        ResponseOutparam::set(out, Ok(response));
        let stream = outgoing.write().expect("nobody writes it yet");
        stream
            .blocking_write_and_flush(body.as_bytes())
            .expect("the client listens");
        drop(stream);
        OutgoingBody::finish(outgoing, None).expect("it is whole");
    }
}

wasip2::http::proxy::export!(Served);
