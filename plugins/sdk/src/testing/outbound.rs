//! The outside, as a test plays it.

use std::cell::RefCell;
use std::rc::Rc;

use super::lend;
use crate::outbound::{Answer, Error as SendError, Request as OutboundRequest};

pub use crate::bindings::imports::hearth::plugin::outbound::{
    Error, Options, Partial, PartialOptions, Refusal, Request, Response,
};

type Answerer = Rc<RefCell<dyn FnMut(&OutboundRequest) -> Result<Answer, SendError>>>;

/// Who answers, if a test has said so.
#[derive(Default)]
pub(super) struct Remote(Option<Answerer>);

impl Remote {
    pub(super) fn answer(
        &mut self,
        answer: impl FnMut(&OutboundRequest) -> Result<Answer, SendError> + 'static,
    ) {
        self.0 = Some(Rc::new(RefCell::new(answer)));
    }
}

/// The answer is made while nothing of the state is borrowed, so it may ask the host, too.
pub(crate) fn send(request: &Request, options: Options) -> Result<Response, Error> {
    let Some(answerer) = lend(|state| state.remote.0.clone()) else {
        let reason = "this test answers no outbound request: see TestHost::answer_outbound";
        return Err(Error::Connect(reason.into()));
    };
    let request = OutboundRequest::from_host(request.clone(), options);
    let answer = (answerer.borrow_mut())(&request)?;
    match answer.body.len() as u64 > options.max_response_bytes {
        true => Err(Error::TooLarge),
        false => Ok(Response {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
        }),
    }
}

pub(crate) fn send_partial(request: &Request, options: PartialOptions) -> Result<Partial, Error> {
    let response = send(request, options.whole)?;
    Ok(Partial {
        response,
        cut: None,
    })
}

/// A test's host has no grants and blocks no address.
pub(crate) fn check(_request: &Request) -> Result<(), Vec<Refusal>> {
    Ok(())
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::BlockedAddress => Error::BlockedAddress,
            SendError::Dns(reason) => Error::Dns(reason),
            SendError::Connect(reason) => Error::Connect(reason),
            SendError::Tls(reason) => Error::Tls(reason),
            SendError::Timeout => Error::Timeout,
            SendError::TooLarge => Error::TooLarge,
            SendError::BreakerOpen(after) => {
                Error::BreakerOpen(u64::try_from(after.as_millis()).unwrap_or(u64::MAX))
            }
            SendError::Denied(reason) => Error::Denied(reason),
            SendError::Protocol(reason) => Error::Protocol(reason),
            SendError::Invalid(reason) => Error::Invalid(reason),
        }
    }
}
