"""What is said about this package outside of it: image, manifests, Makefile, presets.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from proxy import __version__
from proxy.clients.address import parse_size
from proxy.config.environment import ENV_PREFIX, InvalidSettings, variable_name
from proxy.config.settings import Settings, load_settings
from proxy.origins.sources import Source
from proxy.url.grammar import parse_options
from tests.paths import ROOT

MANIFESTS = sorted((ROOT / "k8s").glob("*.yaml"))
TOLD = [ROOT / "Dockerfile", ROOT / "Makefile", ROOT / ".ci" / "run", *sorted((ROOT / "k8s").iterdir())]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DEFAULT_PORT = Settings.model_fields["port"].default


def read(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


def pairs(text: str) -> dict[str, str]:
    return dict(re.findall(rf"^(?:ENV| )*({ENV_PREFIX}\w+)=(\S+?)(?: \\)?$", text, re.MULTILINE))


@pytest.fixture
def pod() -> Any:
    return read(ROOT / "k8s" / "deployment.yaml")["spec"]["template"]["spec"]


@pytest.fixture
def container(pod: Any) -> Any:
    (only,) = pod["containers"]
    return only


@pytest.mark.parametrize("path", TOLD, ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    known = {variable_name(name) + suffix for name in Settings.model_fields for suffix in ("", "_FILE")}
    named = set(re.findall(rf"\b{ENV_PREFIX}[A-Z_]*[A-Z]", path.read_text()))
    assert named <= known


@pytest.mark.parametrize("source", ["Dockerfile", "k8s/settings.env"])
def test_the_variables_are_accepted_once_there_is_a_secret(
    source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "secrets"
    secret.write_text("0f1e2d3c4b5a69788796a5b4c3d2e1f0\n")
    given = pairs((ROOT / source).read_text())
    assert len(given) >= 3
    for name, text in {**given, f"{ENV_PREFIX}SECRETS_FILE": str(secret)}.items():
        monkeypatch.setenv(name, text)
    settings = load_settings(host="0.0.0.0")
    assert settings.unsigned == "deny"
    assert not settings.warnings


@pytest.mark.parametrize("key", ["secrets", "admin-token"])
def test_the_example_secret_is_refused(key: str) -> None:
    example = read(ROOT / "k8s" / "secret.example.yaml")["stringData"]
    with pytest.raises(InvalidSettings, match="placeholder"):
        load_settings(**{key.replace("-", "_"): example[key]})


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_say_what_they_are(path: Path) -> None:
    document = read(path)
    assert path.name == "presets.yaml" or {"apiVersion", "kind"} <= set(document)


def test_kustomization_names_every_manifest_but_the_example() -> None:
    named = read(ROOT / "k8s" / "kustomization.yaml")
    generated = [name for each in named["configMapGenerator"] for name in each.get("files", [])]
    there = {path.name for path in MANIFESTS} - {"kustomization.yaml", "secret.example.yaml"}
    assert {*named["resources"], *generated} == there


def test_no_image_floats() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(set(bases)) == 1, "what is built in one runs in the other"
    assert re.fullmatch(r"[\w./-]+:\d[\w.-]*@sha256:[0-9a-f]{64}", bases[0])
    images = re.findall(r"\bimage: (\S+)", (ROOT / "k8s" / "deployment.yaml").read_text())
    assert images
    for image in images:
        assert re.fullmatch(r"[\w./-]+:\d[\w.-]*", image), image


def test_the_manifest_runs_this_version(container: Any) -> None:
    assert container["image"] == f"image-proxy:{__version__}"


def test_ports_agree(container: Any) -> None:
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    metrics = int(pairs((ROOT / "k8s" / "settings.env").read_text())[f"{ENV_PREFIX}METRICS_PORT"])
    assert ports == {"http": DEFAULT_PORT, "metrics": metrics}
    assert f"EXPOSE {DEFAULT_PORT}\n" in DOCKERFILE
    assert f"http://127.0.0.1:{DEFAULT_PORT}/healthz" in DOCKERFILE
    (port,) = read(ROOT / "k8s" / "service.yaml")["spec"]["ports"]
    assert port["targetPort"] == "http"


def test_probes_ask_for_paths_that_exist(container: Any) -> None:
    routes = "".join(
        path.read_text() for path in [ROOT / "proxy/app/asgi.py", *(ROOT / "proxy/web").glob("*.py")]
    )
    probes = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert probes == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    for path in set(probes.values()):
        assert f'"{path}"' in routes


def test_nothing_runs_as_root_or_writes_where_it_should_not(pod: Any, container: Any) -> None:
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user
    assert int(user[1]) > 0
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == int(user[1])
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["automountServiceAccountToken"]


def test_every_path_that_is_named_is_mounted(pod: Any, container: Any) -> None:
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}
    settings = pairs((ROOT / "k8s" / "settings.env").read_text())
    paths = [each["value"] for each in container["env"]] + [settings[f"{ENV_PREFIX}PRESETS"]]
    caches = settings[f"{ENV_PREFIX}CACHE"] + settings[f"{ENV_PREFIX}ORIGINALS_CACHE"]
    paths += re.findall(r"disk://([^?,]+)", caches)
    for path in paths:
        assert any(str(parent) in mounts for parent in [Path(path), *Path(path).parents[:-1]]), path


def test_a_pod_has_the_time_to_drain(pod: Any) -> None:
    settings = pairs((ROOT / "k8s" / "settings.env").read_text())
    seconds = [int(settings[f"{ENV_PREFIX}{name}"].rstrip("s")) for name in ("DRAIN_DELAY", "DRAIN_TIMEOUT")]
    assert sum(seconds) < pod["terminationGracePeriodSeconds"]


def test_renderers_fit_the_cores_of_a_pod(container: Any) -> None:
    settings = pairs((ROOT / "k8s" / "settings.env").read_text())
    assert settings[f"{ENV_PREFIX}RENDERERS"] == container["resources"]["limits"]["cpu"]


def test_a_pod_has_the_memory_for_the_largest_originals(container: Any) -> None:
    """What docs/deploy.md adds up, and a quarter of it for what an allocator keeps."""
    settings = pairs((ROOT / "k8s" / "settings.env").read_text())
    assert not {f"{ENV_PREFIX}QUEUE_BYTES", f"{ENV_PREFIX}MAX_SOURCE_BYTES"} & settings.keys()
    queue, largest = (Settings.model_fields[name].default for name in ("queue_bytes", "max_source_bytes"))
    tiers = settings[f"{ENV_PREFIX}CACHE"] + settings[f"{ENV_PREFIX}ORIGINALS_CACHE"]
    kept = 10**6 * sum(int(size) for size in re.findall(r"memory://([0-9]+)MB", tiers))
    fetched = Source(url="").concurrency * largest
    renderers = 150 * 10**6 * int(settings[f"{ENV_PREFIX}RENDERERS"])
    limit = 2**30 * int(container["resources"]["limits"]["memory"].removesuffix("Gi"))
    assert 1.25 * (kept + queue + fetched + renderers) < limit


def quantity(text: str) -> float:
    """A quantity of Kubernetes, in bytes."""
    number, unit = re.fullmatch(r"([0-9]+)(Mi|Gi)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"Mi": 2**20, "Gi": 2**30}[unit]


def test_a_pod_may_store_what_its_caches_do(pod: Any, container: Any) -> None:
    """With a tenth more for files that are being written, and for logs."""
    settings = pairs((ROOT / "k8s" / "settings.env").read_text())
    tiers = settings[f"{ENV_PREFIX}CACHE"] + "," + settings[f"{ENV_PREFIX}ORIGINALS_CACHE"]
    disk = sum(parse_size(size) for size in re.findall(r"disk://[^?,]+\?size=([^,&]+)", tiers))
    assert disk > 10**9
    volumes = {
        each["name"]: quantity(each["emptyDir"]["sizeLimit"]) for each in pod["volumes"] if "emptyDir" in each
    }
    assert volumes["cache"] > 1.1 * disk
    assert quantity(container["resources"]["requests"]["ephemeral-storage"]) > disk
    assert quantity(container["resources"]["limits"]["ephemeral-storage"]) > sum(volumes.values())


@pytest.mark.parametrize("path", ["docs/deploy.md", "k8s/kustomization.yaml"])
def test_the_secret_comes_after_its_namespace_and_before_what_needs_it(path: str) -> None:
    text = (ROOT / path).read_text()
    steps = (
        "apply -f k8s/namespace.yaml",
        "-n image-proxy create secret generic image-proxy",
        "apply -k k8s",
    )
    places = [text.index(f"kubectl {step}") for step in steps]
    assert places == sorted(places)
    assert read(ROOT / "k8s" / "namespace.yaml")["metadata"]["name"] == "image-proxy"
    assert read(ROOT / "k8s" / "kustomization.yaml")["namespace"] == "image-proxy"


def test_the_copy_of_the_presets_is_one() -> None:
    """`kubectl apply -k` reads nothing outside of its folder."""
    assert (ROOT / "k8s" / "presets.yaml").read_bytes() == (ROOT / "presets.yaml").read_bytes()


@pytest.mark.parametrize("name", read(ROOT / "presets.yaml")["presets"])
def test_presets_are_options(name: str) -> None:
    preset = read(ROOT / "presets.yaml")["presets"][name]
    parse_options(preset if isinstance(preset, str) else preset["options"])


def test_no_package_registry_is_named() -> None:
    """Where packages come from is for the machine that installs them to say."""
    named = re.compile(r"https?://(?!127\.0\.0\.1|originals\.example\.com)|--(?:extra-)?index-url [^-]")
    for path in [*TOLD, *ROOT.glob("*.lock"), ROOT / "pyproject.toml"]:
        assert not named.search(path.read_text()), path


def test_the_folders_of_fonts_can_be_written_and_are_named_in_the_docs() -> None:
    """Those that renderers read: a volume mounted there has the folder's owner."""
    (owned,) = re.findall(r"^RUN install -d -o 10001 -g 10001 (.+)$", DOCKERFILE, re.MULTILINE)
    docs = (ROOT / "docs/deploy.md").read_text()
    conf = (ROOT / "proxy/fonts/fonts.conf").read_text()
    for folder in ("/usr/local/share/fonts", "/var/cache/fontconfig"):
        assert folder in owned.split()
        assert f"`{folder}`" in docs
        assert f"dir>{folder}</" in conf


def test_noto_is_named_alike_wherever_it_is_installed() -> None:
    """For the letters of Chinese, Japanese, Korean, Arabic, Hindi, Thai, and emoji."""
    (packages,) = re.findall(r"^FONT_PACKAGES := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert packages.split() == ["fonts-noto-core", "fonts-noto-cjk", "fonts-noto-color-emoji"]
    for file in ("Dockerfile", "docs/deploy.md"):
        assert f'--build-arg FONTS="{packages}"' in (ROOT / file).read_text()
    assert "make fonts" in (ROOT / "docs/overlays.md").read_text()
