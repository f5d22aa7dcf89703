"""deploy/k8s: valid for three versions of Kubernetes, hardened, and of one mind with the code about names and ports.

The schemas are those of kubernetes-validate; overlays are rendered by the kustomize in kubectl, where that is.
No API server takes part: what only a cluster knows (admission, scheduling, the operator's CRD) is not tried.
"""

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pms_common.settings import Settings, known_names

K8S = Path(__file__).parents[3] / "deploy" / "k8s"
VERSIONS = ("1.31", "1.34", "1.37")
WRITERS = ("orders", "risk", "algos", "gateway")
SERVICES = (*WRITERS, "feed")
OVERLAYS = tuple(sorted(path.name for path in (K8S / "overlays").iterdir()))
KUBECTL = shutil.which("kubectl")
Manifest = dict[str, Any]


def base() -> list[Manifest]:
    """The manifests of the base as they stand there."""
    listed = yaml.safe_load((K8S / "base" / "kustomization.yaml").read_text())["resources"]
    return [found for name in listed for found in yaml.safe_load_all((K8S / "base" / name).read_text())]


@cache
def rendered(overlay: str) -> list[Manifest]:
    """The manifests of an overlay."""
    if KUBECTL is None:
        pytest.skip("kubectl is not installed: overlays are not rendered")
    command = [KUBECTL, "kustomize", str(K8S / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


BASE = base()


def of(kind: str, manifests: list[Manifest]) -> dict[str, Manifest]:
    """The manifests of a kind, by name."""
    return {found["metadata"]["name"]: found for found in manifests if found["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pods that are made, by the name of their owner."""
    owners = of("StatefulSet", manifests) | of("Job", manifests)
    return {name: owner["spec"]["template"] for name, owner in owners.items()}


def environment(pod: Manifest) -> dict[str, str]:
    """The variables a pod names itself."""
    return {variable["name"]: variable["value"] for variable in pod["spec"]["containers"][0].get("env", [])}


def validate(manifests: list[Manifest], version: str) -> Iterator[str]:
    """What is wrong with them. A ServiceMonitor is the Prometheus operator's, and no part of Kubernetes."""
    for found in manifests:
        if found["kind"] != "ServiceMonitor":
            try:
                kubernetes_validate.validate(found, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{found['kind']} {found['metadata']['name']}: {error.message}"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_base_is_valid(version: str) -> None:
    assert len(BASE) > 20
    assert list(validate(BASE, version)) == []


def test_a_misspelt_field_would_be_found() -> None:
    broken = yaml.safe_load(yaml.safe_dump(of("StatefulSet", BASE)["pms-risk"]))
    broken["spec"]["replica"] = broken["spec"].pop("replicas")
    assert list(validate([broken], VERSIONS[-1]))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_valid(overlay: str, version: str) -> None:
    assert list(validate(rendered(overlay), version)) == []


@pytest.mark.parametrize("name", pods(BASE))
def test_a_pod_meets_the_restricted_standard(name: str) -> None:
    spec = pods(BASE)[name]["spec"]
    container = spec["containers"][0]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False, "Kubernetes would set PMS_*_PORT, which are settings"
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("service", SERVICES)
def test_ports_probes_and_arguments_are_the_codes_own(service: str) -> None:
    container = pods(BASE)[f"pms-{service}"]["spec"]["containers"][0]
    port = Settings(redis_url="redis://x").metrics_port(service)
    assert container["ports"] == [{"name": "probes", "containerPort": port}]
    assert container["args"] == ["run", service]
    assert container["livenessProbe"]["httpGet"] == {"path": "/health", "port": "probes"}
    assert container["readinessProbe"]["exec"]["command"] == ["python", "-m", "pms_cli.probe", service]
    assert of("Service", BASE)[f"pms-{service}"]["spec"]["ports"] == [
        {"name": "probes", "port": port, "targetPort": "probes"}
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_selectors_find_the_pods_of_this_service_and_no_others(service: str) -> None:
    name = f"pms-{service}"
    stateful, budget = of("StatefulSet", BASE)[name]["spec"], of("PodDisruptionBudget", BASE)[name]["spec"]
    selectors = [stateful["selector"]["matchLabels"], budget["selector"]["matchLabels"]]
    selectors.append(of("Service", BASE)[name]["spec"]["selector"])
    for selector in selectors:
        found = {who for who, pod in pods(BASE).items() if selector.items() <= pod["metadata"]["labels"].items()}
        assert found == {name}


@pytest.mark.parametrize("service", WRITERS)
def test_a_writer_has_a_standby_and_an_eviction_leaves_one(service: str) -> None:
    assert of("StatefulSet", BASE)[f"pms-{service}"]["spec"]["replicas"] == 2
    assert of("PodDisruptionBudget", BASE)[f"pms-{service}"]["spec"]["minAvailable"] == 1


def test_the_feed_is_scaled_by_its_work_and_nothing_that_has_one_writer() -> None:
    ((name, scaler),) = of("HorizontalPodAutoscaler", BASE).items()
    assert scaler["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name}
    assert name == "pms-feed" and scaler["spec"]["minReplicas"] == 2
    assert "replicas" not in of("StatefulSet", BASE)[name]["spec"], "each `apply` would undo what the autoscaler did"
    assert of("PodDisruptionBudget", BASE)[name]["spec"]["minAvailable"] == 1


@pytest.mark.parametrize("name", pods(BASE))
def test_settings_exist_and_secrets_come_from_a_secret_of_its_own(name: str) -> None:
    pod = pods(BASE)[name]
    given = environment(pod)
    assert given.keys() <= known_names()
    assert all(path.startswith("/run/secrets/pms/") for path in given.values())
    (secret,) = [volume["secret"] for volume in pod["spec"]["volumes"] if "secret" in volume]
    assert secret["secretName"] == {"pms-migrate": "pms-owner"}.get(name, name)


def test_prometheus_finds_every_service_and_names_it_as_the_alerts_do() -> None:
    (monitor,) = of("ServiceMonitor", BASE).values()
    selector = monitor["spec"]["selector"]["matchLabels"]
    services = of("Service", BASE)
    assert {n for n, found in services.items() if selector.items() <= found["metadata"]["labels"].items()} == set(
        services
    )
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] == "probes"
    label = "__meta_kubernetes_service_label_app_kubernetes_io_component"
    assert {"sourceLabels": [label], "targetLabel": "service"} in endpoint["relabelings"]


def test_the_network_is_closed_but_for_what_is_named() -> None:
    policies = of("NetworkPolicy", BASE)
    nothing = policies["pms-nothing"]["spec"]
    assert nothing["podSelector"]["matchLabels"].items() <= pods(BASE)["pms-migrate"]["metadata"]["labels"].items()
    assert set(nothing["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in nothing and "egress" not in nothing
    (out,) = policies["pms-exchange"]["spec"]["podSelector"]["matchExpressions"]
    assert (out["operator"], set(out["values"])) == ("In", {"feed", "orders"})


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_gives_every_pod_its_settings(overlay: str) -> None:
    maps = of("ConfigMap", rendered(overlay))
    for name, pod in pods(rendered(overlay)).items():
        container = pod["spec"]["containers"][0]
        given = environment(pod)
        for source in container.get("envFrom", []):
            given = maps[source["configMapRef"]["name"]]["data"] | given
        assert given.keys() <= known_names(), name
        if name not in ("pms-migrate", "pms-simulator"):
            assert given["PMS_METRICS_HOST"] == "0.0.0.0"
    assert len({found["metadata"].get("namespace") for found in rendered(overlay)} - {None}) == 1


def test_production_gives_keys_to_orders_alone_and_keeps_the_two_apart() -> None:
    stateful = of("StatefulSet", rendered("production"))
    keys = {
        name
        for name, found in stateful.items()
        if "PMS_BINANCE_API_SECRET_FILE" in environment(found["spec"]["template"])
    }
    assert keys == {"pms-orders"}
    for found in stateful.values():
        (spread,) = found["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert spread["whenUnsatisfiable"] == "DoNotSchedule"
    assert "pms-simulator" not in stateful


def test_a_second_cell_has_its_own_names_and_the_first_ones_feed() -> None:
    manifests = rendered("second-cell")
    (settings,) = [found["data"] for found in of("ConfigMap", manifests).values()]
    assert (settings["PMS_NAMESPACE"], settings["PMS_FEED_NAMESPACE"]) == ("{acct2}pms", "pms")
    assert set(of("StatefulSet", manifests)) == {f"pms-{name}" for name in WRITERS}
    assert of("HorizontalPodAutoscaler", manifests) == {}
