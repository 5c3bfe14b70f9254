// Stand-ins for what a cluster has around the controllers: metrics, a router that does as told, a Prometheus
// that answers by the scenario's script.
package rollout

import (
	"context"
	"strconv"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
)

type nullMetrics struct{}

func (nullMetrics) IncRolloutReconcile(*v1alpha1.Rollout, time.Duration) {}

func (nullMetrics) IncExperimentReconcile(*v1alpha1.Experiment, time.Duration) {}

func (nullMetrics) IncAnalysisRunReconcile(*v1alpha1.AnalysisRun, time.Duration) {}

func (nullMetrics) IncError(string, string, string) {}

func (nullMetrics) EmitRolloutDuration(*v1alpha1.RolloutDurationStatus) {}

func (nullMetrics) Remove(string, string, string) {}

type nullResolver struct{}

func (nullResolver) Init() error { return nil }

func (nullResolver) Resolve(*v1alpha1.Rollout) error { return nil }

type fakeRouter struct{ w *playedWorld }

func (fakeRouter) UpdateHash(string, string, ...v1alpha1.WeightDestination) error { return nil }

func (r fakeRouter) SetWeight(d int32, _ ...v1alpha1.WeightDestination) error { return nil }

func (fakeRouter) SetHeaderRoute(*v1alpha1.SetHeaderRoute) error { return nil }

func (fakeRouter) SetMirrorRoute(*v1alpha1.SetMirrorRoute) error { return nil }

func (fakeRouter) VerifyWeight(int32, ...v1alpha1.WeightDestination) (*bool, error) {
	return nil, nil
}

func (fakeRouter) RemoveManagedRoutes() error { return nil }

func (fakeRouter) Type() string { return "fake" }

type promAPI struct {
	promv1.API
	w *playedWorld
	m string
}

func (p promAPI) Query(_ context.Context, q string, _ time.Time, _ ...promv1.Option) (model.Value, promv1.Warnings, error) {
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	script := w.sc.Script[p.m]
	n := w.asked[p.m]
	w.asked[p.m] = n + 1
	if n >= len(script) {
		n = len(script) - 1
	}
	told := script[n]
	if w.rec {
		w.queries = append(w.queries, map[string]any{"t": w.now - w.start, "metric": p.m, "query": q, "answer": told})
	}
	vec := func(xs ...float64) model.Value {
		v := model.Vector{}
		for _, x := range xs {
			v = append(v, &model.Sample{Value: model.SampleValue(x)})
		}
		return v
	}
	num := func(x any) float64 {
		switch t := x.(type) {
		case float64:
			return t
		case string:
			f, _ := strconv.ParseFloat(t, 64)
			return f
		}
		return 0
	}
	switch t := told.(type) {
	case string:
		if t == "error" {
			return nil, nil, &promv1.Error{Type: promv1.ErrServer, Msg: "server error: 500"}
		}
		if t == "empty" {
			return vec(), nil, nil
		}
		return vec(num(t)), nil, nil
	case []any:
		xs := []float64{}
		for _, x := range t {
			xs = append(xs, num(x))
		}
		return vec(xs...), nil, nil
	case map[string]any:
		return &model.Scalar{Value: model.SampleValue(num(t["scalar"]))}, nil, nil
	}
	return vec(num(told)), nil, nil
}
