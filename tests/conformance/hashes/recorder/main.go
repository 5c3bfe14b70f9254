// Reads Rollouts as JSON, one a line, and prints each with the two hashes that Argo Rollouts gives it.
// With the argument "shapes" it prints instead how Go writes the types behind them: each type's fields in order.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/conditions"
	"github.com/argoproj/argo-rollouts/utils/hash"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type answer struct {
	Rollout  json.RawMessage `json:"rollout"`
	PodHash  string          `json:"pod_hash"`
	StepHash string          `json:"step_hash"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "shapes" {
		printShapes()
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<26)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for lines.Scan() {
		rollout, err := read(lines.Bytes())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		found := answer{
			Rollout:  lines.Bytes(),
			PodHash:  hash.ComputePodTemplateHash(&rollout.Spec.Template, rollout.Status.CollisionCount),
			StepHash: conditions.ComputeStepHash(rollout),
		}
		if err := out.Encode(found); err != nil {
			panic(err)
		}
	}
}

// read reads a Rollout, writes it and reads it again, as Argo's controller does with what its copy holds.
func read(line []byte) (*v1alpha1.Rollout, error) {
	var first, second v1alpha1.Rollout
	if err := json.Unmarshal(line, &first); err != nil {
		return nil, err
	}
	written, err := json.Marshal(&first)
	if err != nil {
		return nil, err
	}
	return &second, json.Unmarshal(written, &second)
}

var scalars = map[reflect.Type]string{
	reflect.TypeOf(resource.Quantity{}):  "quantity",
	reflect.TypeOf(intstr.IntOrString{}): "int-or-string",
	reflect.TypeOf(metav1.Time{}):        "time",
	reflect.TypeOf(metav1.MicroTime{}):   "time",
	reflect.TypeOf(metav1.FieldsV1{}):    "raw",
	reflect.TypeOf(json.RawMessage{}):    "raw",
	reflect.TypeOf([]byte{}):             "string",
}

func printShapes() {
	shapes := map[string][]string{}
	note(reflect.TypeOf(corev1.PodTemplateSpec{}), shapes)
	note(reflect.TypeOf(v1alpha1.CanaryStep{}), shapes)
	names := make([]string, 0, len(shapes))
	for name := range shapes {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		text, _ := json.Marshal(shapes[name])
		before := " "
		if i == 0 {
			before = "{"
		}
		fmt.Printf("%s%q: %s", before, name, text)
		if i < len(names)-1 {
			fmt.Println(",")
		}
	}
	fmt.Println("}")
}

// note returns a type's name in the table, and enters it and all that it holds.
func note(t reflect.Type, shapes map[string][]string) string {
	if name, ok := scalars[t]; ok {
		return name
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + note(t.Elem(), shapes)
	case reflect.Slice:
		return "[]" + note(t.Elem(), shapes)
	case reflect.Map:
		return "map:" + note(t.Elem(), shapes)
	case reflect.Struct:
		if _, known := shapes[t.Name()]; !known {
			shapes[t.Name()] = nil
			shapes[t.Name()] = fields(t, shapes)
		}
		return t.Name()
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "int"
	}
	panic("no name for " + t.String())
}

// fields returns "name type" of each field that is written, those of embedded types in their place. A name ends with
// "?" where nothing is written for an empty value.
func fields(t reflect.Type, shapes map[string][]string) []string {
	found := []string{}
	for i := 0; i < t.NumField(); i++ {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && name == "" {
			found = append(found, fields(field.Type, shapes)...)
			continue
		}
		if name == "-" || !field.IsExported() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		// Go's omitempty leaves no struct out; only omitzero does.
		isStruct := field.Type.Kind() == reflect.Struct
		if strings.Contains(options, "omitzero") || (strings.Contains(options, "omitempty") && !isStruct) {
			name += "?"
		}
		found = append(found, name+" "+note(field.Type, shapes))
	}
	return found
}
