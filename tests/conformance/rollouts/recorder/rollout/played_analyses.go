// The analyses of a played scenario, as the analysis controller reconciles them.
package rollout

import (
	"context"
	"encoding/json"
	"sort"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
)

func (w *playedWorld) analyse() {
	ctx := context.TODO()
	for n := 0; n < 50; n++ {
		changed := false
		l, _ := w.client.ArgoprojV1alpha1().AnalysisRuns("default").List(ctx, metav1.ListOptions{})
		items := l.Items
		sort.SliceStable(items, func(i, j int) bool {
			return items[i].CreationTimestamp.Before(&items[j].CreationTimestamp)
		})
		for _, ar := range items {
			ar := ar
			key := ar.Name + ar.CreationTimestamp.String()
			at, known := w.arAt[key]
			if !known {
				w.record(&ar)
				at = w.now
			}
			if ar.Spec.Terminate && !ar.Status.Phase.Completed() {
				at = w.now
			}
			if ar.Status.Phase.Completed() || at > w.now {
				if !known {
					w.arAt[key] = at
				}
				continue
			}
			before, _ := json.Marshal(ar.Status)
			next := w.an.Reconcile(ar.DeepCopy())
			status, _ := json.Marshal(next.Status)
			if w.an.After != nil {
				s := int((*w.an.After + time.Second - 1) / time.Second)
				w.arAt[key] = w.now + s
			} else {
				w.arAt[key] = 1 << 40
			}
			if string(before) != string(status) {
				phase := ar.Status.Phase
				ar.Status = v1alpha1.AnalysisRunStatus{}
				json.Unmarshal(status, &ar.Status)
				if _, err := w.client.ArgoprojV1alpha1().AnalysisRuns("default").Update(ctx, &ar, metav1.UpdateOptions{}); err != nil {
					panic(err)
				}
				w.record(&ar)
				if phase != ar.Status.Phase {
					w.dirty = true
				}
				w.arAt[key] = w.now // a changed run is looked at again at once
				changed = true
			}
		}
		if !changed {
			return
		}
	}
	panic("analysis never rests")
}

func (w *playedWorld) record(ar *v1alpha1.AnalysisRun) {
	if !w.rec {
		return
	}
	metrics := map[string]any{}
	for _, r := range ar.Status.MetricResults {
		metrics[r.Name] = map[string]any{"phase": string(r.Phase), "count": r.Count, "successful": r.Successful, "failed": r.Failed, "inconclusive": r.Inconclusive,
			"error": r.Error, "consecutiveError": r.ConsecutiveError, "consecutiveSuccess": r.ConsecutiveSuccess, "message": r.Message, "kept": len(r.Measurements), "dry": r.DryRun}
	}
	label := ar.Labels[v1alpha1.RolloutTypeLabel] + ":" + ar.Labels[v1alpha1.RolloutCanaryStepIndexLabel]
	w.trace = append(w.trace, map[string]any{"t": w.now - w.start, "analysis": map[string]any{"run": label, "phase": string(ar.Status.Phase), "message": ar.Status.Message, "metrics": metrics,
		"of": w.versions[ar.Labels[v1alpha1.DefaultRolloutUniqueLabelKey]], "terminate": ar.Spec.Terminate, "summary": ar.Status.RunSummary, "dry_summary": ar.Status.DryRunSummary}})
}
