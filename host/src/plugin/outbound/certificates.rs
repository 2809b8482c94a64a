//! Whom a plugin's requests trust: the certificate authorities of this machine, or those in `SSL_CERT_FILE`, where an
//! operator puts an authority of their own.

use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tracing::warn;

/// Read when a version is loaded, so a change counts when the plugin is loaded again. None where TLS can't be spoken.
pub(super) fn connector(plugin: &str) -> Option<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let error = found.errors.first().map(ToString::to_string);
        warn!(
            plugin,
            error,
            "this machine has no certificate authorities, so the plugin reaches nobody over https; name a file of them in SSL_CERT_FILE"
        );
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .inspect_err(|error| warn!(plugin, %error, "the plugin reaches nobody over https"))
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Some(TlsConnector::from(Arc::new(config)))
}
