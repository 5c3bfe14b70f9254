// Operators of a played scenario: what they wait for, and what the kubectl plugin would patch.
package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	replicasetutil "github.com/argoproj/argo-rollouts/utils/replicaset"
)

var dash = regexp.MustCompile(`^(.*)-([0-9]+)$`)

func (w *playedWorld) holds(when string) bool {
	ro := w.ro()
	st := ro.Status
	switch when {
	case "paused":
		return st.Phase == "Paused" && len(st.PauseConditions) > 0
	case "aborted":
		return st.Abort && st.Phase == "Degraded"
	case "degraded":
		return st.Phase == "Degraded"
	case "inconclusive":
		return getPauseCondition(ro, v1alpha1.PauseReasonInconclusiveAnalysis) != nil
	case "healthy":
		return st.Phase == "Healthy" && st.StableRS == st.CurrentPodHash
	case "spec-paused":
		return ro.Spec.Paused && st.Message == "manually paused"
	}
	m := dash.FindStringSubmatch(when)
	n, _ := strconv.Atoi(m[2])
	switch m[1] {
	case "at":
		return w.now-w.start >= n
	case "paused-at":
		return st.Phase == "Paused" && st.Canary.Weights != nil && int(st.Canary.Weights.Canary.Weight) == n
	}
	panic(when)
}

func (w *playedWorld) operate() {
	if w.busy || !w.rec || len(w.waiting) == 0 || !w.holds(w.waiting[0].When) {
		return
	}
	w.busy = true
	w.at(w.now+operatorS, w.act)
}

func (w *playedWorld) deploy(v string) {
	w.change(func(ro *v1alpha1.Rollout) { ro.Spec.Template.Spec.Containers[0].Image = "app:" + v })
}

func (w *playedWorld) change(f func(*v1alpha1.Rollout)) {
	ro := w.ro()
	f(ro)
	ro.Generation++
	if _, err := w.client.ArgoprojV1alpha1().Rollouts("default").Update(context.TODO(), ro, metav1.UpdateOptions{}); err != nil {
		panic(err)
	}
	w.dirty = true
}

func (w *playedWorld) patch(s string) {
	if _, err := w.client.ArgoprojV1alpha1().Rollouts("default").Patch(context.TODO(), w.name, types.MergePatchType, []byte(s), metav1.PatchOptions{}, "status"); err != nil {
		panic(err)
	}
	w.stored()
	w.dirty = true
}

func (w *playedWorld) act() {
	do := w.waiting[0].Do
	w.waiting = w.waiting[1:]
	w.trace = append(w.trace, map[string]any{"t": w.now - w.start, "operator": do})
	verb, rest, _ := strings.Cut(do, " ")
	ro := w.ro()
	st := ro.Status
	_, index := replicasetutil.GetCurrentCanaryStep(ro)
	next := 0
	if index != nil {
		next = int(*index)
		if next < len(ro.Spec.Strategy.Canary.Steps) {
			next++
		}
	}
	unpause := func() {
		if ro.Spec.Paused {
			w.change(func(r *v1alpha1.Rollout) { r.Spec.Paused = false })
		}
	}
	switch verb {
	case "promote":
		incon := st.Canary.CurrentStepAnalysisRunStatus != nil && st.Canary.CurrentStepAnalysisRunStatus.Status == v1alpha1.AnalysisPhaseInconclusive
		switch {
		case incon && len(st.PauseConditions) > 0 && st.ControllerPause && index != nil:
			w.patch(fmt.Sprintf(`{"status":{"pauseConditions":null, "controllerPause":false, "currentStepIndex":%d}}`, next))
		case len(st.PauseConditions) > 0:
			w.patch(`{"status":{"pauseConditions":null}}`)
		case index != nil:
			w.patch(fmt.Sprintf(`{"status":{"pauseConditions":null, "currentStepIndex":%d}}`, next))
		}
		unpause()
	case "promote-full":
		if st.CurrentPodHash != st.StableRS {
			w.patch(`{"status":{"promoteFull":true}}`)
		}
		unpause()
	case "skip":
		if index != nil {
			w.patch(fmt.Sprintf(`{"status":{"currentStepIndex":%d}}`, next))
		}
	case "abort":
		w.patch(`{"status":{"abort":true}}`)
	case "retry":
		w.patch(`{"status":{"abort":false}}`)
	case "pause":
		w.change(func(r *v1alpha1.Rollout) { r.Spec.Paused = true })
	case "resume":
		w.change(func(r *v1alpha1.Rollout) { r.Spec.Paused = false })
	case "deploy":
		w.deploy(rest)
	case "rollback":
		w.deploy("v1")
	case "scale":
		n, _ := strconv.Atoi(rest)
		m := int32(n)
		w.change(func(r *v1alpha1.Rollout) { r.Spec.Replicas = &m })
	case "set-steps":
		w.change(func(r *v1alpha1.Rollout) {
			r.Spec.Strategy.Canary.Steps = nil
			json.Unmarshal(w.sc.NewSteps, &r.Spec.Strategy.Canary.Steps)
		})
	default:
		panic(do)
	}
	w.busy = false
	w.dirty = true
}
