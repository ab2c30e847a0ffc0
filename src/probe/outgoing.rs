//! From a request as it is said to one that the HTTP client sends.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderValue, Method, Request,
    header::{ACCEPT, AUTHORIZATION, HeaderName},
};
use http_body_util::Full;
use hyper::body::Bytes;
use percent_encoding::percent_decode_str;
use url::Url;

use super::Outgoing;

/// The request, ready for the client. User and password of the address become the header that they stand for, where the
/// request has none of its own.
///
/// # Errors
/// In words, what of it is malformed.
pub(super) fn request(outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, String> {
    let Outgoing {
        method,
        url,
        headers,
        body,
    } = outgoing;
    let no_url = |why: String| format!("`{url}` is no address: {why}");
    let mut address: Url = url
        .parse()
        .map_err(|error: url::ParseError| no_url(error.to_string()))?;
    if !matches!(address.scheme(), "http" | "https") || !address.has_host() {
        return Err(no_url(
            "it must begin with `http://` or `https://` and name a host".to_owned(),
        ));
    }
    let authorization = taken_out(&mut address)?;
    let uri: http::Uri = address
        .as_str()
        .parse()
        .map_err(|error: http::uri::InvalidUri| no_url(error.to_string()))?;
    let method: Method = method.parse().map_err(|_| format!("`{method}` is not a method"))?;
    let body = Full::new(Bytes::from(body.clone().unwrap_or_default()));
    let mut request = Request::new(body);
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    let map = request.headers_mut();
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no name of a header"))?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("the value of the header `{name}` is none"))?;
        map.append(name, value);
    }
    map.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    if let Some(authorization) = authorization {
        map.entry(AUTHORIZATION).or_insert(authorization);
    }
    Ok(request)
}

/// The header that user and password of an address stand for, which then are no more in it.
fn taken_out(address: &mut Url) -> Result<Option<HeaderValue>, String> {
    address.set_fragment(None);
    if address.username().is_empty() && address.password().is_none() {
        return Ok(None);
    }
    let mut pair: Vec<u8> = percent_decode_str(address.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(address.password().unwrap_or_default()));
    let cannot = "user and password cannot be taken out of the address";
    address.set_username("").map_err(|()| cannot)?;
    address.set_password(None).map_err(|()| cannot)?;
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).map_err(|_| cannot)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn outgoing(url: &str, headers: &[(&str, &str)]) -> Outgoing {
        Outgoing {
            method: "GET".into(),
            url: url.into(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            body: None,
        }
    }

    #[rstest]
    #[case::both("http://us%40er:p%3Ass@h/a?b=c#d", &[], "Basic dXNAZXI6cDpzcw==")]
    #[case::no_password("http://user@h/a?b=c", &[], "Basic dXNlcjo=")]
    #[case::its_own_goes_first("http://user@h/a?b=c", &[("authorization", "Bearer x")], "Bearer x")]
    fn user_and_password_of_an_address_are_a_header(
        #[case] url: &str,
        #[case] headers: &[(&str, &str)],
        #[case] sent: &str,
    ) {
        let request = request(&outgoing(url, headers)).unwrap();
        assert_eq!(request.headers()[AUTHORIZATION], sent);
        assert_eq!(request.headers().get_all(AUTHORIZATION).iter().count(), 1);
        assert_eq!(request.uri(), "http://h/a?b=c");
    }

    #[test]
    fn headers_keep_their_order_and_their_duplicates_and_anything_is_accepted() {
        let request = request(&outgoing("http://h", &[("x-b", "1"), ("x-a", "2"), ("x-b", "3")])).unwrap();
        let values: Vec<&str> = request
            .headers()
            .get_all("x-b")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        assert_eq!(values, ["1", "3"]);
        assert_eq!(request.headers()[ACCEPT], "*/*");
        assert_eq!(request.headers().get(AUTHORIZATION), None);
    }
}
