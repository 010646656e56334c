//! Images without a registry: a root file system of Debian's packages for the base, the product from the repository's own
//! Dockerfile on it, and stand-ins for the images of others, under the names that `docker-compose.yml` calls them by.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::engine::Engine;
use crate::command::{self, run, succeeds};
use crate::{build, kafka, web, workspace};

/// The base that the Dockerfile names.
const BASE: &str = "docker.io/library/debian:bookworm-slim";
/// What the stand-ins are made on.
const SERVICES: &str = "localhost/services:latest";
/// Packages of the stand-ins; wget is what their health checks call.
const SERVICE_PACKAGES: &str = "default-jre-headless,prometheus,wget";
/// On an image: what it was made from.
const RECIPE: &str = "millrace.recipe";

/// Makes every image that is missing or older than what it is made from.
pub fn make(engine: &Engine, profile: build::Profile) -> anyhow::Result<()> {
    let jars = kafka::jars::prepare()?;
    let compose = fs::read_to_string(workspace::root().join("docker-compose.yml")).context("cannot read docker-compose.yml")?;
    bases(engine)?;
    product(engine, profile, &tag(&compose, "millrace")?)?;
    let jars = format!("jars={}", jars.display());
    let kafka = format!("docker.io/{}", tag(&compose, "apache/kafka")?);
    build(stand_in(engine, "kafka").args(["--build-context", &jars, "--tag", &kafka, "xtask/containers"]))?;
    let prometheus = format!("docker.io/{}", tag(&compose, "prom/prometheus")?);
    build(stand_in(engine, "prometheus").args(["--tag", &prometheus, "xtask/containers"]))?;
    command::output(&mut engine.podman(["image", "prune", "--force"])).map(drop)
}

/// `name:tag` of an image in the compose file, with the default of a variable tag.
fn tag(compose: &str, name: &str) -> anyhow::Result<String> {
    let prefix = format!("image: {name}:");
    let written = compose.lines().find_map(|line| line.trim().strip_prefix(&prefix));
    let written = written.with_context(|| format!("docker-compose.yml has no image {name} with a tag"))?;
    let default = written.strip_prefix("${").and_then(|variable| variable.strip_suffix('}')?.split_once(":-"));
    Ok(format!("{name}:{}", default.map_or(written, |(_, default)| default)))
}

/// Both root file systems, at once: most of the time they wait for a mirror.
pub fn bases(engine: &Engine) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let services = scope.spawn(|| root_file_system(engine, SERVICES, SERVICE_PACKAGES));
        let base = root_file_system(engine, BASE, "");
        let services = services.join().unwrap_or_else(|_| bail!("making {SERVICES} panicked"));
        base.and(services)
    })
}

/// An image of this machine's own release of Debian, so that what was built here runs in it: from the mirror that apt uses here,
/// as small as it can be, and `packages`.
fn root_file_system(engine: &Engine, image: &str, packages: &str) -> anyhow::Result<()> {
    let release = release()?;
    let recipe = format!("{release} {packages}");
    let made = engine.podman(["image", "inspect", "--format", &format!("{{{{index .Labels \"{RECIPE}\"}}}}"), image]).output()?;
    if made.status.success() && String::from_utf8_lossy(&made.stdout).trim() == recipe.trim() {
        return Ok(());
    }
    println!("Making {image} from Debian's packages; this happens once");
    let log = engine.folder().join(if packages.is_empty() { "base.log" } else { "services.log" });
    let mut bootstrap = Command::new("mmdebstrap");
    bootstrap.args(["--mode=root", "--variant=minbase"]);
    if !packages.is_empty() {
        bootstrap.arg(format!("--include={packages}"));
    }
    bootstrap.args([&release, "-"]).args(sources(&release)?);
    let mut making = bootstrap.stdout(Stdio::piped()).stderr(fs::File::create(&log)?).spawn().context("mmdebstrap could not be started")?;
    let archive = making.stdout.take().context("mmdebstrap has no output")?;
    let label = format!("LABEL {RECIPE}=\"{}\"", recipe.trim());
    // Under its name only when it is whole.
    let imported = command::output(engine.podman(["import", "--quiet", "--change", &label, "-"]).stdin(archive));
    if !making.wait()?.success() {
        bail!("mmdebstrap failed; see {}", log.display());
    }
    command::output(&mut engine.podman(["tag", &imported?, image])).map(drop)
}

/// Code name of this machine's release, for example `bookworm`.
fn release() -> anyhow::Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("this is no Debian")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name
        .context("/etc/os-release has no VERSION_CODENAME, so there is no release of Debian to make images of")?
        .trim_matches('"')
        .to_owned())
}

/// Where apt gets this release from, as lines of a sources.list.
fn sources(release: &str) -> anyhow::Result<Vec<String>> {
    let mut asked = Command::new("apt-get");
    asked.args(["indextargets", "--format", "$(RELEASE) $(REPO_URI) $(COMPONENT)", "Created-By: Packages"]);
    let targets = command::output(&mut asked)?;
    let mut lines: Vec<String> = targets
        .lines()
        .filter_map(|target| target.strip_prefix(release)?.strip_prefix(' ')?.split_once(' '))
        .map(|(mirror, component)| format!("deb {mirror} {release} {component}"))
        .collect();
    lines.sort();
    lines.dedup();
    if lines.is_empty() {
        bail!("apt knows no mirror of {release}: see /etc/apt/sources.list and run apt-get update");
    }
    Ok(lines)
}

/// The repository's own Dockerfile, with what was built here in the place of the stages that build it.
fn product(engine: &Engine, profile: build::Profile, image: &str) -> anyhow::Result<()> {
    let artifacts = artifacts(engine.folder(), profile)?;
    let context = format!("artifacts={}", artifacts.display());
    build(&mut engine.podman(["build", "--quiet", "--pull=never", "--build-context", &context, "--tag", image, "."]))
}

fn artifacts(folder: &Path, profile: build::Profile) -> anyhow::Result<PathBuf> {
    build::components()?;
    web::build_if_possible()?;
    let program = build::host(profile)?;
    let artifacts = folder.join("artifacts");
    if artifacts.exists() {
        fs::remove_dir_all(&artifacts).with_context(|| format!("cannot remove {}", artifacts.display()))?;
    }
    for part in ["bin", "components", "web", "certs"] {
        fs::create_dir_all(artifacts.join(part)).with_context(|| format!("cannot make {}", artifacts.display()))?;
    }
    // Without what only a debugger reads, which is most of it.
    run(Command::new("strip").args(["--strip-debug", "-o"]).arg(artifacts.join("bin/millrace")).arg(program))?;
    for component in build::names_of_components()? {
        let file = format!("{component}.wasm");
        fs::copy(workspace::installed_components().join(&file), artifacts.join("components").join(&file))?;
    }
    let authorities = Path::new("/etc/ssl/certs/ca-certificates.crt");
    if authorities.exists() {
        fs::copy(authorities, artifacts.join("certs/ca-certificates.crt"))?;
    }
    let pages = workspace::root().join("web/dist");
    if succeeds(Command::new("test").arg("-d").arg(&pages)) {
        run(Command::new("cp").arg("-rT").arg(pages).arg(artifacts.join("web")))?;
    }
    Ok(artifacts)
}

fn stand_in(engine: &Engine, name: &str) -> Command {
    let file = format!("xtask/containers/{name}.Containerfile");
    let mut command = engine.podman(["build", "--quiet", "--pull=never", "--file", &file]);
    command.args(["--build-context", &format!("services=container-image://{SERVICES}")]);
    command
}

fn build(command: &mut Command) -> anyhow::Result<()> {
    command::output(command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_of_a_tag_is_read() {
        let compose = "a:\n  image: some/thing:${THING:-v1.2}\nb:\n    image: other:dev\n";
        assert_eq!(tag(compose, "some/thing").expect("a tag"), "some/thing:v1.2");
        assert_eq!(tag(compose, "other").expect("a tag"), "other:dev");
        assert!(tag(compose, "third").is_err());
    }
}
