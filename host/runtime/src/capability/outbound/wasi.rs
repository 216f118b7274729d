//! `wasi:http/outgoing-handler` for plugins that hold a grant `outbound:...`: the
//! standard's interface, and the same grants, addresses, bounds and breakers
//! behind it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Request, Response};
use http_body_util::{BodyExt, Limited};
use tokio::time::Instant;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi_http::p2::bindings::{LinkOptions, http as interfaces};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as HttpError, ForbiddenHeaderFilter, RequestOptions, WasiBody,
    WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
};

use super::connection::{BoxError, Protocols};
use super::exchange::{OutgoingRequest, Timeouts};
use super::target::Target;
use super::{Error, Lent, RequestOwner, State, check_calls, message};
use crate::capability::Call;
use hearth_base::telemetry::TraceScope;

/// Bytes of an outgoing body that wait to be sent; twice as many may.
const PIECE_BYTES_MAX: usize = 16 << 10;

/// What one call of a plugin has of `wasi:http`.
pub struct Wasi {
    context: WasiHttpCtx,
    hooks: Hooks,
}

/// Links `wasi:http/outgoing-handler` and the types that go with it.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> WasiHttpCtxView<'_>,
) -> wasmtime::Result<()> {
    let options = LinkOptions::default();
    interfaces::outgoing_handler::add_to_linker::<T, WasiHttp>(linker, view)?;
    interfaces::types::add_to_linker::<T, WasiHttp>(linker, &(&options).into(), view)
}

/// What a call borrows of it, made with its first use of the interface.
pub fn view<'a>(
    call: &Call,
    lent: &Lent,
    state: &'a mut State,
    table: &'a mut ResourceTable,
) -> WasiHttpCtxView<'a> {
    let wasi = state.wasi.get_or_insert_with(|| Wasi::new(call, lent));
    wasi.hooks.calls_beside = state.calls;
    WasiHttpCtxView {
        hooks: &mut wasi.hooks,
        table,
        ctx: &mut wasi.context,
    }
}

impl Wasi {
    fn new(call: &Call, lent: &Lent) -> Wasi {
        let mut context = WasiHttpCtx::new();
        // Each of a guest's handles may be such a list.
        context.set_field_size_limit(lent.client.config().header_bytes_max);
        let hooks = Hooks {
            lent: lent.clone(),
            whose: RequestOwner::of(call),
            deadline: call.deadline,
            trace: call.trace.clone(),
            calls: 0,
            calls_beside: 0,
        };
        Wasi { context, hooks }
    }

    /// Requests that were sent by it.
    pub(super) fn calls(&self) -> u32 {
        self.hooks.calls
    }
}

struct Hooks {
    lent: Lent,
    whose: RequestOwner,
    deadline: Instant,
    trace: TraceScope,
    calls: u32,
    /// Those that went out by the host's own interface.
    calls_beside: u32,
}

type Io = Box<dyn Future<Output = Result<(), HttpError>> + Send>;
type SendOutcome = Result<(Response<WasiBody>, Io), HttpError>;

impl WasiHttpHooks for Hooks {
    /// The standard lets a guest say how long its body is, and that is held true.
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name: &HeaderName| {
            let own = message::is_forbidden(name) && name != http::header::CONTENT_LENGTH;
            own || DEFAULT_FORBIDDEN_HEADERS.contains(name)
        })
    }

    /// It is made of the URL that was judged.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE_BYTES_MAX
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), HttpError>> + Send>,
    ) -> Box<dyn Future<Output = SendOutcome> + Send> {
        let (lent, began) = (self.lent.clone(), Instant::now());
        let prepared = self.prepare(request, options);
        Box::new(async move {
            let sent = match prepared {
                Ok((way, request)) => lent.client.exchange(&way, request).await,
                Err(error) => Err(error),
            };
            let sent = sent.and_then(|answer| answer.check(lent.client.config()));
            let outcome = sent.as_ref().map_or_else(Error::kind, |_| "answered");
            lent.metrics.ended(outcome, began.elapsed());
            let answer = sent.map_err(|error| http_error(&error))?;
            let body = answer.body.map_err(|error| http_error(&error));
            let response = Response::from_parts(answer.head, body.boxed_unsync());
            let done: Io = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }
}

impl Hooks {
    fn prepare(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<(OutgoingRequest, Request<super::connection::Body>), Error> {
        let config = self.lent.client.config();
        check_calls(self.calls.saturating_add(self.calls_beside), config)?;
        self.calls += 1;
        let target = Target::parse(&request.uri().to_string(), config.url_bytes_max)?;
        self.lent.check(&target)?;
        message::method(request.method().as_str())?;
        let bytes_max = config.request_bytes_max;
        let mut request = request.map(|body| {
            let body = body.map_err(BoxError::from);
            Limited::new(body, bytes_max).boxed_unsync()
        });
        message::complete(&mut request, config)?;
        let options = options.unwrap_or_default();
        let longest = Duration::from_millis(config.timeout_ms_max);
        let way = OutgoingRequest {
            whose: self.whose.clone(),
            target,
            protocols: Protocols::H1,
            times: Timeouts {
                deadline: self.deadline.min(Instant::now() + longest),
                connect_max: options.connect_timeout,
                head_max: options.first_byte_timeout,
                body_max: None,
                pause_max: options.between_bytes_timeout,
            },
            answer_bytes_max: config.response_bytes_max,
            trace: self.trace.clone(),
        };
        Ok((way, request))
    }
}

/// The standard's own words for it.
fn http_error(error: &Error) -> HttpError {
    match error {
        Error::BlockedAddress => HttpError::DestinationIpProhibited,
        Error::Dns(reason) => HttpError::DnsError {
            rcode: Some(reason.clone()),
            info_code: None,
        },
        Error::Connect(_) | Error::Exhausted(_) => HttpError::ConnectionRefused,
        Error::Tls(_) => HttpError::TlsProtocolError,
        Error::Timeout => HttpError::HttpResponseTimeout,
        Error::TooLarge => HttpError::HttpResponseBodySize(None),
        Error::BreakerOpen(_) => HttpError::DestinationUnavailable,
        Error::Denied(_) => HttpError::HttpRequestDenied,
        Error::Protocol(_) => HttpError::HttpProtocolError,
        Error::Invalid(_) => HttpError::HttpRequestUriInvalid,
    }
}
