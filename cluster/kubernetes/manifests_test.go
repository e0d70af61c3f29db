// Package kubernetes tests the files of deploy/kubernetes with the types of
// Kubernetes' own API: an unknown field is an error.
package kubernetes

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

const folder = "../../deploy/kubernetes"

// decode reads every object of a file.
func decode(t *testing.T, text []byte) ([]runtime.Object, error) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	var objects []runtime.Object
	for {
		document, err := documents.Read()
		if err == io.EOF {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(objects)+1, err)
		}
		objects = append(objects, object)
	}
}

func read(t *testing.T, name string) []runtime.Object {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(t, text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return objects
}

// find returns the only object of a type that matches.
func find[T runtime.Object](t *testing.T, objects []runtime.Object, match func(T) bool) T {
	t.Helper()
	var found []T
	for _, object := range objects {
		if typed, ok := object.(T); ok && (match == nil || match(typed)) {
			found = append(found, typed)
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d objects of type %T, want one", len(found), *new(T))
	}
	return found[0]
}

func TestUnknownFieldsAreErrors(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder, "central.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{"readinessProbe:", "readynessProbe:"},
		{"periodSeconds: 2", "period: 2"},
		{"minAvailable: 1", "minAvailible: 1"},
		{"kind: Deployment", "kind: Deploiment"},
		{"replicas: 2", "replicas: two"},
		{"replicas: 2", "replicas: 2\n  replicas: 2"},
	} {
		changed := strings.Replace(string(text), change[0], change[1], 1)
		if changed == string(text) {
			t.Errorf("there is no %q", change[0])
		}
		if _, err := decode(t, []byte(changed)); err == nil {
			t.Errorf("nobody notices %q", change[1])
		}
	}
}

// pods returns the templates of all pods.
func pods(t *testing.T) map[string]corev1.PodTemplateSpec {
	return map[string]corev1.PodTemplateSpec{
		"central": find[*appsv1.Deployment](t, read(t, "central.yaml"), nil).Spec.Template,
		"agency":  find[*batchv1.Job](t, read(t, "agency.yaml"), nil).Spec.Template,
	}
}

func TestPodsAreConfined(t *testing.T) {
	for name, pod := range pods(t) {
		all := pod.Spec.SecurityContext
		if all == nil || all.RunAsNonRoot == nil || !*all.RunAsNonRoot || all.RunAsUser == nil || *all.RunAsUser != 65532 ||
			all.SeccompProfile == nil || all.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: the pod runs as %+v", name, all)
		}
		if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
			t.Errorf("%s: the pod has a token for the API", name)
		}
		checkContainer(t, name, pod.Spec.Containers[0])
		for _, mount := range pod.Spec.Containers[0].VolumeMounts {
			i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
			if i < 0 {
				t.Errorf("%s: %s is not there", name, mount.MountPath)
				continue
			}
			// A writable volume is the pod's own, and bounded.
			if own := pod.Spec.Volumes[i].EmptyDir; !mount.ReadOnly && (own == nil || own.SizeLimit == nil) {
				t.Errorf("%s: %s can be written", name, mount.MountPath)
			}
		}
	}
}

func checkContainer(t *testing.T, name string, c corev1.Container) {
	t.Helper()
	own := c.SecurityContext
	if own == nil || own.ReadOnlyRootFilesystem == nil || !*own.ReadOnlyRootFilesystem || own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation ||
		own.Capabilities == nil || !slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("%s: the container may %+v", name, own)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s: nothing bounds or reserves its resources: %+v", name, c.Resources)
	}
}

func TestCentralIsWatchedAndFound(t *testing.T) {
	objects := read(t, "central.yaml")
	deployment := find[*appsv1.Deployment](t, objects, nil)
	container := deployment.Spec.Template.Spec.Containers[0]
	if n := deployment.Spec.Replicas; n == nil || *n < 2 {
		t.Error("there are not two centrals")
	}
	ports := map[string]int32{}
	for _, port := range container.Ports {
		ports[port.Name] = port.ContainerPort
	}
	if !maps.Equal(ports, map[string]int32{"lottery": 12345, "admin": 8080}) {
		t.Errorf("the ports are %v", ports)
	}
	for path, probe := range map[string]*corev1.Probe{"/healthz": container.LivenessProbe, "/readyz": container.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "admin" {
			t.Errorf("%s is not asked: %+v", path, probe)
		}
	}
	labels := deployment.Spec.Template.Labels
	if !maps.Equal(deployment.Spec.Selector.MatchLabels, labels) {
		t.Errorf("the Deployment looks for %v", deployment.Spec.Selector.MatchLabels)
	}
	services := 0
	for _, object := range objects {
		service, ok := object.(*corev1.Service)
		if !ok {
			continue
		}
		services++
		if !maps.Equal(service.Spec.Selector, labels) {
			t.Errorf("the Service %s looks for %v", service.Name, service.Spec.Selector)
		}
		if affinity := service.Spec.SessionAffinity; affinity != "" && affinity != corev1.ServiceAffinityNone {
			t.Errorf("the Service %s has affinity %s", service.Name, affinity)
		}
		for _, port := range service.Spec.Ports {
			if ports[port.TargetPort.StrVal] != port.Port {
				t.Errorf("the Service %s has port %d for %s", service.Name, port.Port, port.TargetPort.StrVal)
			}
		}
	}
	if services != 2 {
		t.Errorf("there are %d Services", services)
	}
	budget := find[*policyv1.PodDisruptionBudget](t, objects, nil)
	if !maps.Equal(budget.Spec.Selector.MatchLabels, labels) || budget.Spec.MinAvailable == nil || budget.Spec.MinAvailable.IntValue() != 1 {
		t.Errorf("the budget is %+v", budget.Spec)
	}
}

// The programs read every setting of the manifests.
func TestSettingsAreThePrograms(t *testing.T) {
	config := find[*corev1.ConfigMap](t, read(t, "central.yaml"), nil)
	all := pods(t)
	for program, environment := range map[string][]string{
		"server": slices.Concat(slices.Collect(maps.Keys(config.Data)), names(all["central"])),
		"client": names(all["agency"]),
	} {
		command := exec.Command("go", "run", "./cmd/"+program, "--help")
		command.Dir = "../.."
		help, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range environment {
			if name != "GOMEMLIMIT" && !strings.Contains(string(help), name) { // Go's own
				t.Errorf("%s does not know %s", program, name)
			}
		}
	}
}

func names(pod corev1.PodTemplateSpec) (names []string) {
	for _, variable := range pod.Spec.Containers[0].Env {
		names = append(names, variable.Name)
	}
	return names
}

// values is the part of the chart's values that is used, as named by its major
// version 1 (https://github.com/nats-io/k8s, helm/charts/nats/values.yaml). What
// is merged into Kubernetes' objects has their types.
type values struct {
	Config struct {
		Cluster struct {
			Enabled  bool `json:"enabled"`
			Replicas int  `json:"replicas"`
		} `json:"cluster"`
		JetStream struct {
			Enabled     bool  `json:"enabled"`
			MemoryStore store `json:"memoryStore"`
			FileStore   struct {
				store
				Dir string `json:"dir"`
				PVC struct {
					Enabled          bool   `json:"enabled"`
					Size             string `json:"size"`
					StorageClassName string `json:"storageClassName"`
				} `json:"pvc"`
			} `json:"fileStore"`
			Merge map[string]any `json:"merge"`
		} `json:"jetstream"`
		Merge map[string]any `json:"merge"`
	} `json:"config"`
	Container struct {
		Image struct {
			Tag string `json:"tag"`
		} `json:"image"`
		Env   map[string]string           `json:"env"`
		Patch []patch[corev1.VolumeMount] `json:"patch"`
		Merge corev1.Container            `json:"merge"`
	} `json:"container"`
	PodTemplate struct {
		TopologySpreadConstraints map[string]corev1.TopologySpreadConstraint `json:"topologySpreadConstraints"`
		Patch                     []patch[corev1.Volume]                     `json:"patch"`
		Merge                     corev1.PodTemplateSpec                     `json:"merge"`
	} `json:"podTemplate"`
	PodDisruptionBudget struct {
		Enabled bool                         `json:"enabled"`
		Merge   policyv1.PodDisruptionBudget `json:"merge"`
	} `json:"podDisruptionBudget"`
	NATSBox struct {
		Enabled bool `json:"enabled"`
	} `json:"natsBox"`
}

type store struct {
	Enabled bool   `json:"enabled"`
	MaxSize string `json:"maxSize"`
}

// patch is a step of a JSON patch (RFC 6902).
type patch[T any] struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value T      `json:"value"`
}

func TestValuesOfNATS(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder, "nats-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var v values
	if err := strict.UnmarshalStrict(text, &v); err != nil {
		t.Fatal(err)
	}
	if !v.Config.Cluster.Enabled || v.Config.Cluster.Replicas != 3 {
		t.Errorf("the cluster is %+v", v.Config.Cluster)
	}
	jetstream := v.Config.JetStream
	if !jetstream.Enabled || !jetstream.FileStore.Enabled || !jetstream.FileStore.PVC.Enabled || jetstream.FileStore.PVC.Size == "" {
		t.Errorf("JetStream is %+v", jetstream)
	}
	// As the chart writes it into the servers' configuration.
	merged, err := json.Marshal(jetstream.Merge)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "nats.conf")
	written := fmt.Sprintf("jetstream: {max_file_store: %s, max_memory_store: %s, %s\n",
		jetstream.FileStore.MaxSize, jetstream.MemoryStore.MaxSize, strings.TrimPrefix(string(merged), "{"))
	if err := os.WriteFile(config, []byte(written), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if !opts.SyncAlways || opts.JetStreamMaxStore != 18<<30 || opts.JetStreamMaxMemory != 256<<20 {
		t.Errorf("the servers would have sync always %v, %d bytes of disk, %d of memory", opts.SyncAlways, opts.JetStreamMaxStore, opts.JetStreamMaxMemory)
	}

	mount, volume := v.Container.Patch[0], v.PodTemplate.Patch[0]
	if mount.Path != "/volumeMounts/-" || volume.Path != "/spec/volumes/-" || mount.Value.Name != volume.Value.Name || volume.Value.Secret == nil {
		t.Errorf("the accounts are mounted with %+v and %+v", mount, volume)
	}
	if include, want := v.Config.Merge["$include"], filepath.Join(mount.Value.MountPath, "accounts.conf"); include == nil ||
		filepath.Join("/etc/nats-config", include.(string)) != want {
		t.Errorf("the accounts are read from %v, and are in %s", include, want)
	}
	checkContainer(t, "nats", v.Container.Merge)
	spec := v.PodTemplate.Merge.Spec
	if spec.SecurityContext == nil || spec.SecurityContext.RunAsNonRoot == nil || !*spec.SecurityContext.RunAsNonRoot {
		t.Error("the servers are root")
	}
	if spec.Affinity == nil || len(spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) == 0 ||
		v.PodTemplate.TopologySpreadConstraints["kubernetes.io/hostname"].WhenUnsatisfiable != corev1.DoNotSchedule {
		t.Error("two servers may be on one machine")
	}
	if budget := v.PodDisruptionBudget; !budget.Enabled || budget.Merge.Spec.MaxUnavailable == nil || budget.Merge.Spec.MaxUnavailable.IntValue() != 1 {
		t.Errorf("the budget is %+v", budget)
	}
}
