//! What an operator can say of components, resolved.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::kv::KvGrant;
use super::signature::PublicKey;

/// Settings of the whole runtime.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Private folder for compiled code and copies of good files (mode 0700).
    pub cache_dir: PathBuf,
    /// Folder in which this user's commands for authors keep compiled code (`MILLRACE_CACHE`): what is there is not compiled once more.
    pub authors_cache: Option<PathBuf>,
    /// Program whose hidden command `compiler` compiles a component in a child process; the binary itself in production.
    pub compiler: PathBuf,
    /// Attempts that run at once, 1 to [`MAX_RUNS`](super::MAX_RUNS); more wait in line, and none of a version that no longer serves counts.
    pub max_concurrent_runs: usize,
}

/// One `dynamic.component`.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentSettings {
    /// Module name, and `componentId` of the steps.
    pub name: String,
    /// Where its file comes from.
    pub source: Source,
    /// Shown to people.
    pub description: String,
    /// Which component is meant.
    pub expect: Expect,
    /// Who has to vouch for its file.
    pub signatures: Signatures,
    /// Given to the component with every job, a JSON object.
    pub config: Map<String, Value>,
    /// What it is given with the jobs of each of its users: a version whose schema does not allow it is refused. Nobody knows any who
    /// only tries it.
    pub given: Vec<Given>,
    /// What it may do beyond computing.
    pub capabilities: Capabilities,
    /// How much it may use.
    pub limits: Limits,
    /// Where its steps may come after those of other components: what these answer is what it reads.
    pub after: Vec<After>,
}

impl ComponentSettings {
    /// Those of a file that no config has: nothing is expected of it, and nothing granted.
    #[must_use]
    pub fn unconfigured(name: String, source: Source) -> Self {
        Self {
            name,
            source,
            description: String::new(),
            expect: Expect::default(),
            signatures: Signatures::default(),
            config: Map::new(),
            given: Vec::new(),
            capabilities: Capabilities::default(),
            limits: Limits::default(),
            after: Vec::new(),
        }
    }
}

/// A step of a component that may come after one of another component in some machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// Name of the other component.
    pub component: String,
    /// Step of the other component.
    pub earlier: String,
    /// Step of this one.
    pub step: String,
    /// Name of the workflow.
    pub workflow: String,
}

/// Where the file of a component comes from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Absolute path of the `.wasm` file, which is looked at whenever it changes.
    File(PathBuf),
    /// An artifact of a registry, which never changes.
    Registry(Artifact),
}

impl Source {
    /// The path of the file; none of what comes from a registry.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Registry(_) => None,
        }
    }

    /// What a file of it is called: `fraud.wasm`.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        match self {
            Self::File(path) => Some(path.file_name()?.to_string_lossy().into_owned()),
            Self::Registry(artifact) => Some(format!("{}.wasm", artifact.repository.rsplit('/').next()?)),
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => std::fmt::Debug::fmt(path, f),
            Self::Registry(artifact) => std::fmt::Debug::fmt(artifact, f),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => std::fmt::Display::fmt(&path.display(), f),
            Self::Registry(artifact) => std::fmt::Display::fmt(artifact, f),
        }
    }
}

/// A component in a registry, by the digest of its manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Artifact {
    /// Host of the registry, with its port if it has one: `ghcr.io`.
    pub registry: String,
    /// The repository in it: `acme/fraud`.
    pub repository: String,
    /// SHA-256 of the manifest, in hex.
    pub digest: String,
    /// How the registry is talked to.
    pub access: Access,
}

impl std::fmt::Display for Artifact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "oci://{}/{}@sha256:{}", self.registry, self.repository, self.digest)
    }
}

/// How a registry is talked to.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// Name and password for it; anonymous if there is none.
    pub login: Option<Login>,
    /// Without TLS.
    pub plain: bool,
    /// The proxy between, for messages: `HTTPS_PROXY (http://proxy:3128)`.
    pub proxy: Option<String>,
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password, or a token; never shown.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [hidden]", self.username)
    }
}

/// Who has to vouch for a component. Nobody by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatures {
    /// A file is taken only with a signature of one of these keys; any file if there are none.
    pub keys: Vec<PublicKey>,
    /// Compiled code is taken with a signature of one of these, and with none else: it runs as this process, in no sandbox.
    pub compiled_keys: Vec<PublicKey>,
}

/// A configuration that a component is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Whose jobs it comes with, for example `step 'step-refund'`.
    pub by: String,
    /// A JSON object.
    pub config: Map<String, Value>,
}

/// Which component is meant. Nothing by default: then a first one is taken, and after it only versions that describe themselves by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// What it says of itself in `describe`.
    pub name: Option<String>,
    /// SHA-256 of its file, in hex.
    pub digest: Option<String>,
}

/// What a component may do beyond computing. Empty by default: nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Capabilities {
    /// Services it may call by outgoing HTTP: `http://<service>/...`.
    pub http: Vec<Grant>,
    /// Values it may read through `wasi:config/store`.
    pub config: Vec<(String, String)>,
    /// The state that it may have.
    pub kv: Option<KvGrant>,
    /// The events that it may publish.
    pub events: Vec<EventGrant>,
    /// Secrets that the host fills into its requests.
    pub secrets: Vec<SecretGrant>,
}

/// A type of business events that a component may publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventGrant {
    /// As the component names it, and as it is published.
    pub event_type: String,
    /// Where it goes.
    pub topic: String,
}

/// A secret that is filled into requests of a component, which never sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretGrant {
    /// As the component names it.
    pub name: String,
    /// What is filled in.
    pub value: String,
    /// Services to which it goes.
    pub services: Vec<String>,
}

impl std::fmt::Debug for SecretGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretGrant").field("name", &self.name).field("services", &self.services).finish_non_exhaustive()
    }
}

/// A service that a component may call, by name.
#[derive(Clone, PartialEq)]
pub struct Grant {
    /// Host part of the URL that the guest asks for, for example `stock`.
    pub service: String,
    /// Where that is.
    pub target: GrantTarget,
    /// Headers that the host adds on the way out and the guest never sees.
    pub headers: Vec<(String, String)>,
    /// What the service knows this process by, if it has to.
    pub credential: Option<Credential>,
}

/// What a service knows this process by, which is for the operator to set right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// What an operator knows it by: the variable that it is made of, or its header.
    pub name: String,
    /// It is what processes of one installation share. Then a 403 can only be about it, as every 401 is; elsewhere a 403 may be an
    /// answer to what was asked.
    pub internal: bool,
}

/// Where a granted service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantTarget {
    /// Base URL, `http` or `https`; the guest's path is appended.
    Url(String),
    /// Module of this process, called without a socket.
    Handler(String),
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Grant").field("service", &self.service).field("target", &self.target).field("headers", &headers).finish()
    }
}

/// How much one attempt may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all linear memories and tables together.
    pub memory_bytes: usize,
    /// CPU time.
    pub cpu: Duration,
    /// Calls into the host.
    pub host_calls: u32,
    /// Bytes that one answer may have.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 64 << 20, cpu: Duration::from_secs(10), host_calls: 10_000, answer_bytes: 256 << 10 }
    }
}
