//! TLS to granted services: whose certificates count, and what is told of one that does not.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_native_certs::load_certs_from_paths;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

/// With the authorities that this machine knows.
static OF_THIS_MACHINE: LazyLock<TlsConnector> = LazyLock::new(|| connector(authorities()));

/// Looks for the authorities now, so that what is wrong with them is told before the first request.
pub(super) fn look_for_authorities() {
    LazyLock::force(&OF_THIS_MACHINE);
}

/// Speaks TLS over `stream` with who has a certificate for `host`, a name or an address.
///
/// # Errors
/// The certificate does not count, or there was no TLS: in words for who asks.
pub(super) async fn over<S: AsyncRead + AsyncWrite + Unpin>(stream: S, host: &str) -> Result<TlsStream<S>, Error> {
    encrypted(&OF_THIS_MACHINE, stream, host).await
}

async fn encrypted<S: AsyncRead + AsyncWrite + Unpin>(connector: &TlsConnector, stream: S, host: &str) -> Result<TlsStream<S>, Error> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = ServerName::try_from(bare.to_owned()).map_err(Error::InvalidDnsNameError)?;
    connector.connect(name, stream).await.map_err(|error| Error::InternalError(Some(in_words(&error))))
}

fn in_words(error: &std::io::Error) -> String {
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match of_tls {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is of an authority that this machine does not know: `SSL_CERT_FILE` names a file of those that count"
                .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(reason)) => format!("its certificate does not count: {reason}"),
        _ => format!("TLS with it fails: {error}"),
    }
}

fn connector(roots: RootCertStore) -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|config| config.with_root_certificates(roots).with_no_client_auth());
    #[expect(clippy::expect_used, reason = "the provider that is linked in has the default versions")]
    TlsConnector::from(Arc::new(config.expect("the default versions of TLS")))
}

/// Whether the authorities are there that variables of the environment name: in the file of `SSL_CERT_FILE`, also where `SSL_CERT_DIR` names folders
/// that have some, and in the folders of `SSL_CERT_DIR` together, where no file is named (a list of folders often names some that a machine does not
/// have). No folders are none set. Where neither variable is set, those of the system count.
///
/// # Errors
/// What is named has none: the variable, its value and why.
pub fn check_authorities(variables: &BTreeMap<String, String>) -> Result<(), String> {
    let file = variables.get("SSL_CERT_FILE");
    let folders = variables.get("SSL_CERT_DIR").filter(|text| text.split(':').any(|folder| !folder.is_empty()));
    let (name, value, found) = match (file, folders) {
        (Some(file), _) => ("SSL_CERT_FILE", file, vec![load_certs_from_paths(Some(Path::new(file)), None)]),
        (None, Some(folders)) => {
            let paths = folders.split(':').filter(|folder| !folder.is_empty());
            ("SSL_CERT_DIR", folders, paths.map(|folder| load_certs_from_paths(None, Some(Path::new(folder)))).collect())
        }
        (None, None) => return Ok(()),
    };
    let mut roots = RootCertStore::empty();
    let errors: Vec<String> = found.iter().flat_map(|found| found.errors.iter().map(ToString::to_string)).collect();
    let added: usize = found.into_iter().map(|found| roots.add_parsable_certificates(found.certs).0).sum();
    if added > 0 {
        return Ok(());
    }
    let why = if errors.is_empty() { "there is none".to_owned() } else { errors.join("; ") };
    Err(format!("`{name}` is '{value}', and no certificate of an authority can be read there: {why}"))
}

/// Those of the system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`; those that are linked in where there are none.
fn authorities() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let errors = errors.join("; ");
        tracing::warn!(
            errors,
            "this machine has no certificates of authorities: granted services are held against the public authorities that this program brings"
        );
    } else if !errors.is_empty() {
        tracing::warn!(errors = errors.join("; "), "some certificates of authorities cannot be read: services with theirs are not reached");
    }
    roots
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    fn file(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
    }

    fn trusting(authority: &str) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file(authority)).unwrap()).unwrap();
        connector(roots)
    }

    /// Says hello to `host` of a service with this certificate.
    async fn hello(connector: &TlsConnector, certificate: &str, host: &str) -> Result<(), String> {
        let chain = vec![CertificateDer::from_pem_file(file(&format!("{certificate}.pem"))).unwrap()];
        let key = PrivateKeyDer::from_pem_file(file("service.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions();
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap()));
        let (ours, theirs) = tokio::io::duplex(4096);
        let serving = async {
            if let Ok(mut stream) = acceptor.accept(theirs).await {
                stream.write_all(b"hello").await.unwrap();
                stream.shutdown().await.unwrap();
            }
        };
        let asking = async {
            let mut stream = encrypted(connector, ours, host).await.map_err(|error| error.to_string())?;
            let mut said = String::new();
            stream.read_to_string(&mut said).await.map_err(|error| error.to_string())?;
            assert_eq!(said, "hello");
            Ok(())
        };
        tokio::join!(asking, serving).0
    }

    #[test]
    fn authorities_that_the_environment_names_have_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let in_folder = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (missing, empty, good) = (in_folder("missing.pem"), in_folder("empty.pem"), file("authority.pem").to_str().unwrap().to_owned());
        std::fs::write(&empty, "no certificate").unwrap();
        let check =
            |set: &[(&str, &str)]| check_authorities(&set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        for (name, path) in [("SSL_CERT_FILE", &missing), ("SSL_CERT_FILE", &empty), ("SSL_CERT_DIR", &missing)] {
            let told = check(&[(name, path)]).unwrap_err();
            assert!(told.starts_with(&format!("`{name}` is '{path}', and no certificate")), "{told}");
        }
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[("SSL_CERT_FILE", &good)]), Ok(()));
        std::fs::copy(&good, in_folder("good.pem")).unwrap();
        let folders = format!("{missing}:{}", folder.path().display());
        assert_eq!(check(&[("SSL_CERT_DIR", &folders)]), Ok(()), "one of them has some");
        assert!(check(&[("SSL_CERT_FILE", &missing), ("SSL_CERT_DIR", &folders)]).is_err(), "who names a file means it");
        assert_eq!(check(&[("SSL_CERT_FILE", &good), ("SSL_CERT_DIR", &missing)]), Ok(()), "the file has some");
        assert_eq!(check(&[("SSL_CERT_DIR", "")]), Ok(()), "that names no folder");
    }

    #[tokio::test]
    async fn a_service_with_a_certificate_of_a_known_authority_is_reached_by_name_and_address() {
        let connector = trusting("authority.pem");
        for host in ["bank.internal", "127.0.0.1", "[::1]"] {
            assert_eq!(hello(&connector, "service", host).await, Ok(()), "{host}");
        }
    }

    #[tokio::test]
    async fn a_certificate_that_does_not_count_is_told_with_its_reason() {
        let known = trusting("authority.pem");
        let expired = hello(&known, "expired", "bank.internal").await.unwrap_err();
        assert!(expired.contains("its certificate does not count") && expired.contains("expired"), "{expired}");
        let of_another = hello(&known, "service", "elsewhere.internal").await.unwrap_err();
        assert!(of_another.contains("elsewhere.internal"), "{of_another}");
        let unknown = hello(&connector(authorities()), "service", "bank.internal").await.unwrap_err();
        assert!(unknown.contains("an authority that this machine does not know") && unknown.contains("`SSL_CERT_FILE`"), "{unknown}");
    }
}
