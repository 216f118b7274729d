//! The interface's functions, on what a call borrows.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::Protocols;
use super::exchange::{Answer, OutgoingRequest, Timeouts};
use super::target::Target;
use super::{
    Error, GuestError, GuestPartial, GuestRefusal, GuestRequest, GuestResponse, Host, Lent,
    Options, PartialOptions, RequestOwner, View, check_calls, convert_error, message,
};

impl Host for View<'_> {
    async fn send(
        &mut self,
        request: GuestRequest,
        options: Options,
    ) -> wasmtime::Result<Result<GuestResponse, GuestError>> {
        self.call.host_call()?;
        let began = Instant::now();
        let sent = self.sent(request, options).await;
        self.lent.metrics.ended(outcome(&sent), began.elapsed());
        Ok(sent.map_err(convert_error))
    }

    async fn send_partial(
        &mut self,
        request: GuestRequest,
        options: PartialOptions,
    ) -> wasmtime::Result<Result<GuestPartial, GuestError>> {
        self.call.host_call()?;
        let began = Instant::now();
        let sent = self.partly_sent(request, options).await;
        self.lent.metrics.ended(outcome(&sent), began.elapsed());
        Ok(sent.map_err(convert_error))
    }

    async fn check(
        &mut self,
        request: GuestRequest,
    ) -> wasmtime::Result<Result<(), Vec<GuestRefusal>>> {
        self.call.host_call()?;
        let refusals = self.lent.refusals(&request);
        Ok(match refusals.is_empty() {
            true => Ok(()),
            false => Err(refusals),
        })
    }
}

fn outcome<T>(sent: &Result<T, Error>) -> &'static str {
    match sent {
        Ok(_) => "answered",
        Err(error) => error.kind(),
    }
}

impl View<'_> {
    async fn sent(
        &mut self,
        request: GuestRequest,
        options: Options,
    ) -> Result<GuestResponse, Error> {
        let answer = self.send_for_head(request, options, None).await?;
        let answer = answer.check(self.lent.client.config())?;
        let body = answer.body.whole().await?;
        Ok(message::response(&answer.head, body))
    }

    async fn partly_sent(
        &mut self,
        request: GuestRequest,
        options: PartialOptions,
    ) -> Result<GuestPartial, Error> {
        let PartialOptions { whole, body_ms } = options;
        let body_max = Some(Duration::from_millis(body_ms));
        let Answer { head, body } = self.send_for_head(request, whole, body_max).await?;
        let config = self.lent.client.config();
        let too_large = message::is_too_large(&head.headers, config).then_some(Error::TooLarge);
        let (bytes, cut) = body.part().await;
        Ok(GuestPartial {
            response: message::response_within(&head, bytes, config),
            cut: cut.or(too_large).map(convert_error),
        })
    }

    /// Sends it and waits for the answer's head.
    async fn send_for_head(
        &mut self,
        request: GuestRequest,
        options: Options,
        body_max: Option<Duration>,
    ) -> Result<Answer, Error> {
        let config = self.lent.client.config();
        let by_wasi = self.state.wasi.as_ref().map_or(0, |wasi| wasi.calls());
        check_calls(self.state.calls.saturating_add(by_wasi), config)?;
        self.state.calls += 1;
        let target = Target::parse(&request.url, config.url_bytes_max)?;
        self.lent.check(&target)?;
        let request = message::request(request, config)?;
        let longest = Duration::from_millis(options.timeout_ms.min(config.timeout_ms_max));
        let way = OutgoingRequest {
            whose: RequestOwner::of(self.call),
            target,
            protocols: Protocols::Any,
            times: Timeouts {
                body_max,
                ..Timeouts::until(self.call.deadline.min(Instant::now() + longest))
            },
            trace: self.call.trace.clone(),
            answer_bytes_max: options.max_response_bytes.min(config.response_bytes_max),
        };
        self.lent.client.exchange(&way, request).await
    }
}

impl Lent {
    /// Whether the plugin may reach this at all.
    pub(super) fn check(&self, target: &Target) -> Result<(), Error> {
        let destination = &target.destination;
        match self.grants.iter().any(|grant| grant.matches(destination)) {
            true => Ok(()),
            false => Err(Error::Denied(format!(
                "the plugin has no grant for {destination}; an operator can grant outbound:{}",
                destination.origin()
            ))),
        }
    }
}
