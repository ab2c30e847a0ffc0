//! Calls of the API server in the log: each is a span with method, path and status, which closes when the answer begins.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower::Service;
use tracing::Instrument as _;

/// A service of the Kubernetes client whose calls stand in the log. Queries, headers and bodies do not.
#[derive(Debug, Clone)]
pub(super) struct Logged<S>(pub(super) S);

impl<S, A, B> Service<Request<A>> for Logged<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (method, path) = (request.method(), request.uri().path());
        let span = tracing::debug_span!("api", %method, path, status = tracing::field::Empty);
        let answer = span.in_scope(|| self.0.call(request));
        let noted = span.clone();
        let answered = async move {
            let answer = answer.await;
            noted.record("status", answer.as_ref().ok().map(|answer| answer.status().as_u16()));
            answer
        };
        Box::pin(answered.instrument(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_comes_through_as_it_is() {
        let server = tower::service_fn(async |request: Request<&str>| {
            Ok::<_, std::convert::Infallible>(Response::new(request.into_body().len()))
        });
        let answer = Logged(server).call(Request::new("four")).await.unwrap();
        assert_eq!(answer.into_body(), 4);
    }
}
