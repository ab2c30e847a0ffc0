//! Canaries: each way in which a secret comes in, in each way in which others repeat it, and everything that is put out.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use rstest::rstest;

use crate::{served::Served, writings::WRITINGS};

/// A secret with letters in it that others write in another way.
const SECRET: &str = r#"Zq9x'Kv4"Jw7&Tm2<pH6"#;

/// So many letters in a row of what was written are a leak, and of HTML, which takes up to six for one, so many.
const LEAK: usize = 9;
const LEAK_IN_HTML: usize = 18;

/// The longest that begins a writing of a secret without being of it: base64 of `x-access-token:`.
const BEFORE: usize = 20;

/// Bytes of a body that a record keeps.
const KEPT: usize = 16 << 10;

/// What a program was given, and where it may write.
struct Given {
    input: tempfile::TempDir,
    output: tempfile::TempDir,
}

impl Given {
    fn nothing() -> Self {
        Self {
            input: tempfile::tempdir().unwrap(),
            output: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.input.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// Everything that the program puts out, by its name.
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary is what is tested, so a test starts it"
    )]
    fn put_out(&self, arguments: &[&str], variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        let path = format!("{}:/usr/bin:/bin", self.input.path().display());
        let ended = Command::new(assert_cmd::cargo::cargo_bin!("quickproof"))
            .args(arguments)
            .current_dir(self.output.path())
            .env_clear()
            .env("HOME", self.output.path())
            .env("PATH", path)
            .env("QUICKPROOF_LOG", "trace")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let mut put_out = BTreeMap::new();
        put_out.insert(
            "standard output".into(),
            String::from_utf8_lossy(&ended.stdout).into_owned(),
        );
        put_out.insert(
            "standard error".into(),
            String::from_utf8_lossy(&ended.stderr).into_owned(),
        );
        collect(self.output.path(), &mut put_out);
        put_out
    }
}

fn collect(directory: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            files.insert(path.display().to_string(), text);
        }
    }
}

/// Where a secret can be read in what was put out, in whatever writing; as it is, or as JSON has it.
#[track_caller]
fn assert_no_leak(put_out: &BTreeMap<String, String>) {
    let mut leaks = Vec::new();
    for (name, write) in WRITINGS {
        let written = write(SECRET);
        let of_secret = if name.contains("git") {
            &written[BEFORE..]
        } else {
            &written
        };
        let in_json = serde_json::to_string(of_secret).unwrap();
        for written in [of_secret, in_json.trim_matches('"')] {
            let letters: Vec<char> = written.chars().collect();
            let leak = if name.contains("HTML") { LEAK_IN_HTML } else { LEAK };
            let pieces: Vec<String> = letters.windows(leak).map(|piece| piece.iter().collect()).collect();
            for (place, text) in put_out {
                if let Some(piece) = pieces.iter().find(|piece| text.contains(*piece)) {
                    let at = text.find(piece).unwrap();
                    let around =
                        &text[text.floor_char_boundary(at.saturating_sub(60))..text.ceil_char_boundary(at + 60)];
                    leaks.push(format!("{place}: {name}: {around:?}"));
                }
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

/// Every writing of the secret, each in a line of its own.
fn all_writings() -> String {
    let lines = WRITINGS
        .iter()
        .map(|(name, write)| format!("{name}: {}\n", write(SECRET)));
    lines.collect::<Vec<_>>().concat()
}

/// A server that answers everything with this status and body, whoever asks.
fn answering(status: &'static str, kind: &'static str, body: String) -> Served {
    Served::start(move |_, mut wire| {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nx-key: {SECRET}\r\nx-{}: 1\r\ncontent-length: {}\r\n\r\n",
            "Zq9xKv4Jw7Tm2pH6",
            body.len()
        );
        wire.send(head + &body)
    })
    .unwrap()
}

/// How an endpoint repeats what it was sent.
#[derive(Debug, Clone, Copy)]
enum Repeats {
    /// In every writing.
    InEveryWriting,
    /// On the edge of what is shown in a line.
    WhereALineIsCut,
    /// On the edge of what the record keeps.
    WhereTheBodyIsCut,
    /// Three letters at a time.
    InPiecesOfAStream,
}

impl Repeats {
    fn server(self) -> Served {
        let text = "text/plain";
        match self {
            Self::InEveryWriting => answering("500 No", text, all_writings()),
            Self::WhereALineIsCut => answering("500 No", text, format!("{}{SECRET}", "-".repeat(300 - 12))),
            Self::WhereTheBodyIsCut => answering("500 No", text, format!("{}{SECRET}", "-".repeat(KEPT - 18))),
            Self::InPiecesOfAStream => {
                let letters: Vec<char> = SECRET.chars().collect();
                let event = |piece: &[char]| {
                    let piece: String = piece.iter().collect();
                    let chunk =
                        serde_json::json!({"choices": [{"index": 0, "text": piece, "delta": {"content": piece}}]});
                    format!("data: {chunk}\n\n")
                };
                answering("200 OK", "text/event-stream", letters.chunks(3).map(event).collect())
            }
        }
    }
}

#[rstest]
#[case::a_header(&["--header", &format!("x-key: {SECRET}")], &[])]
#[case::a_header_with_a_scheme(&["--header", &format!("authorization: Bearer {SECRET}")], &[])]
#[case::the_key_of_the_api(&[], &[("OPENAI_API_KEY", SECRET)])]
#[case::a_token_of_the_environment(&[], &[("HF_TOKEN", SECRET)])]
fn what_an_endpoint_repeats_of_a_secret_is_put_out_nowhere(
    #[case] arguments: &[&str],
    #[case] variables: &[(&str, &str)],
    #[values(
        Repeats::InEveryWriting,
        Repeats::WhereALineIsCut,
        Repeats::WhereTheBodyIsCut,
        Repeats::InPiecesOfAStream
    )]
    repeats: Repeats,
) {
    let (server, given) = (repeats.server(), Given::nothing());
    let url = server.url("");
    let probe = [
        "probe",
        &url,
        "--model",
        "m",
        "--scenario",
        "completions.*",
        "-o",
        "json",
    ];
    let arguments = [&probe, arguments].concat();
    let put_out = given.put_out(&arguments, variables);
    let report = put_out.iter().find(|(name, _)| name.ends_with("record.json")).unwrap();
    assert!(report.1.contains("[redacted]"), "it was repeated: {}", report.1);
    assert_no_leak(&put_out);
}

#[rstest]
fn the_password_of_an_address_is_put_out_nowhere(#[values("", "http://")] scheme: &str
) {
    let (server, given) = (Repeats::InEveryWriting.server(), Given::nothing());
    let url = server.url("").replace("http://", &format!("{scheme}user:{SECRET}@"));
    let put_out = given.put_out(&["probe", &url, "--model", "m", "-o", "json"], &[]);
    assert!(put_out.keys().any(|name| name.ends_with("record.json")), "{put_out:?}");
    assert_no_leak(&put_out);
}

#[test]
fn short_values_of_headers_are_not_in_our_own_lines() {
    let (server, given) = (answering("500 No", "text/plain", "no".into()), Given::nothing());
    let url = server.url("");
    let put_out = given.put_out(
        &["probe", &url, "--model", "m", "-o", "json", "--header", "x-tenant: ab7"],
        &[],
    );
    let with = |text: &str| put_out.iter().filter(|(_, put_out)| put_out.contains(text)).count();
    assert_eq!(with("ab7"), 0, "{put_out:#?}");
    assert!(with("x-tenant: [redacted]") > 2, "{put_out:#?}");
}

#[rstest]
#[case::a_header_without_its_option(&["probe", "localhost:1", &format!("x-key: {SECRET}")])]
#[case::an_option_that_is_none(&["probe", "localhost:1", "--headr", &format!("x-key: {SECRET}")])]
#[case::a_header_that_is_none(&["probe", "localhost:1", "--header", SECRET])]
#[case::an_address_with_a_key(&["probe", &format!("http://localhost:1/v1?key={}", SECRET.replace('&', "%26"))])]
#[case::an_address_that_is_none(&["probe", &format!("ftp://user:{SECRET}@localhost")])]
#[case::an_address_too_many(&["probe", "localhost:1", &format!("user:{SECRET}@localhost")])]
#[case::an_option_with_a_key(&["probe", "localhost:1", &format!("--api-key={SECRET}")])]
fn a_command_line_that_is_refused_is_not_repeated_with_its_secrets(#[case] arguments: &[&str]) {
    let put_out = Given::nothing().put_out(arguments, &[]);
    assert!(put_out["standard error"].contains("error: "), "{put_out:?}");
    assert_no_leak(&put_out);
}

/// How a kubeconfig says who asks.
#[derive(Debug, Clone, Copy)]
enum Asks {
    Token,
    TokenFile,
    Password,
    Program,
    ProgramThatFails,
    ProgramThatPrintsSomethingElse,
    Provider,
    BrokenFile,
}

impl Asks {
    fn kubeconfig(self, given: &Given, server: &str) -> String {
        let secret = serde_json::to_string(SECRET).unwrap();
        let credential = serde_json::json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": {"token": SECRET}});
        let program = |script: &str| {
            let script = script.replace("CREDENTIAL", &given.file("credential", &credential.to_string()));
            format!(
                "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: {}}}}}",
                given.file("plugin", &format!("#!/bin/sh\n{script}\n"))
            )
        };
        let user = match self {
            Self::Token => format!("{{token: {secret}}}"),
            Self::TokenFile => format!("{{tokenFile: {}}}", given.file("token", SECRET)),
            Self::Password => format!("{{username: u, password: {secret}}}"),
            Self::Program => program("cat CREDENTIAL"),
            Self::ProgramThatFails => program("cat CREDENTIAL; cat CREDENTIAL >&2; exit 3"),
            Self::ProgramThatPrintsSomethingElse => program("echo 'token:'; cat CREDENTIAL | tr -d '{'"),
            Self::Provider => format!("{{auth-provider: {{name: oidc, config: {{id-token: {secret}}}}}}}"),
            Self::BrokenFile => format!("{{token: {secret}, x: [}}"),
        };
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n\
             contexts: [{{name: fake, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {user}}}]\n"
        );
        given.file("kubeconfig", &text)
    }
}

#[rstest]
fn what_an_api_server_repeats_of_a_credential_is_put_out_nowhere(
    #[values(
        Asks::Token,
        Asks::TokenFile,
        Asks::Password,
        Asks::Program,
        Asks::ProgramThatFails,
        Asks::ProgramThatPrintsSomethingElse,
        Asks::Provider,
        Asks::BrokenFile
    )]
    asks: Asks,
) {
    let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401,
        "reason": "Unauthorized", "message": all_writings()});
    let server = answering("401 Unauthorized", "application/json", status.to_string());
    let given = Given::nothing();
    let kubeconfig = asks.kubeconfig(&given, &server.url(""));
    let cluster = ["--cluster", "fake", "--kubeconfig", &kubeconfig];
    for command in [&["verify"][..], &["lint", "--no-helm", "--server"]] {
        let put_out = given.put_out(&[command, &cluster].concat(), &[]);
        assert_no_leak(&put_out);
        let said: String = put_out.values().map(String::as_str).collect();
        match asks {
            Asks::BrokenFile => assert!(said.contains("line 5, column "), "{said}"),
            Asks::ProgramThatFails => assert!(said.contains("fails (exit status: 3)"), "{said}"),
            Asks::Provider | Asks::ProgramThatPrintsSomethingElse => {}
            _ => assert!(said.contains("[redacted]"), "it was repeated: {said}"),
        }
    }
}

#[test]
fn what_a_mirror_repeats_of_its_password_or_of_the_token_is_put_out_nowhere_nor_kept() {
    // What fits into a line that is told, or is cut in its middle.
    let fit = ["as it is", "in base64", "in base64 as git sends it", "in percent codes"];
    for (_, write) in WRITINGS.iter().filter(|(name, _)| fit.contains(name)) {
        let line = |text: &str| format!("{:04x}{text}\n", text.len() + 5);
        let offer = [line("version 2"), "0000".into()].concat();
        let refusal = [line(&format!("ERR no {}", write(SECRET))), "0000".into()].concat();
        let server = Served::start(move |asked, mut wire| {
            let body = if asked.path().contains("info/refs") {
                &offer
            } else {
                &refusal
            };
            wire.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ))
        });
        let (server, given) = (server.unwrap(), Given::nothing());
        let mirror = server
            .url("")
            .replace("http://", &format!("http://user:{}@", SECRET.replace('<', "%3C")));
        let put_out = given.put_out(&["plan", "--release", "v1.5.0"], &[("QUICKPROOF_GITHUB_URL", &mirror)]);
        assert!(put_out["standard error"].contains("[redacted]"), "{put_out:?}");
        assert_no_leak(&put_out);
        let variables = [
            ("QUICKPROOF_GITHUB_URL", server.url("")),
            ("GITHUB_TOKEN", SECRET.to_owned()),
        ];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_no_leak(&given.put_out(&["plan", "--release", "v1.5.0"], &variables));
    }
}

#[test]
fn a_list_of_tags_from_a_mirror_is_kept_without_the_mirrors_password() {
    let line = |text: &str| format!("{:04x}{text}\n", text.len() + 5);
    let offer = [line("version 2"), "0000".into()].concat();
    let listed = [line(&format!("{} refs/tags/v0.0.1", "1".repeat(40))), "0000".into()].concat();
    let server = Served::start(move |asked, mut wire| {
        let body = if asked.path().contains("info/refs") {
            &offer
        } else {
            &listed
        };
        wire.send(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    });
    let (server, given) = (server.unwrap(), Given::nothing());
    let mirror = server.url("").replace("http://", &format!("http://user:{SECRET}@"));
    let put_out = given.put_out(&["plan", "--release", "v1.5.0"], &[("QUICKPROOF_GITHUB_URL", &mirror)]);
    assert!(
        put_out.keys().any(|name| name.contains("releases/index/")),
        "{put_out:?}"
    );
    assert_no_leak(&put_out);
}

#[rstest]
#[case::without_a_scheme("user:SECRET@mirror")]
#[case::of_another("ftp://user:SECRET@mirror")]
fn a_mirror_whose_address_is_none_is_named_without_its_password(#[case] mirror: &str) {
    let mirror = mirror.replace("SECRET", SECRET);
    let put_out = Given::nothing().put_out(&["plan", "--release", "v1.5.0"], &[("QUICKPROOF_GITHUB_URL", &mirror)]);
    assert!(
        put_out["standard error"].contains("is no address of a server"),
        "{put_out:?}"
    );
    assert_no_leak(&put_out);
}

#[test]
fn what_a_program_repeats_of_a_registrys_password_is_put_out_nowhere() {
    let given = Given::nothing();
    let auths = serde_json::json!({"auths": {"registry.example": {"identitytoken": SECRET}}});
    given.file("config.json", &auths.to_string());
    let said = given.file("said", &all_writings());
    for program in ["docker", "kind"] {
        given.file(program, &format!("#!/bin/sh\ncat {said} >&2\nexit 1\n"));
    }
    let put_out = given.put_out(&["verify"], &[("DOCKER_CONFIG", given.input.path().to_str().unwrap())]);
    assert!(put_out["standard error"].contains("[redacted]"), "{put_out:?}");
    assert_no_leak(&put_out);
}

#[test]
fn the_table_knows_a_leak() {
    for (_, write) in WRITINGS {
        let put_out = BTreeMap::from([("standard error".to_owned(), format!("error: {}", write(SECRET)))]);
        let told = std::panic::catch_unwind(|| assert_no_leak(&put_out));
        told.unwrap_err();
    }
}
