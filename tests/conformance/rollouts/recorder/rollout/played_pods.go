// The pods of a played scenario, and what is noted of a status.
package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	replicasetutil "github.com/argoproj/argo-rollouts/utils/replicaset"
)

type playedPod struct {
	created int
	ready   int // -1 never
}

func (w *playedWorld) never(v string) bool {
	for _, n := range w.sc.Never {
		if n == v {
			return true
		}
	}
	return false
}

func (w *playedWorld) settle() {
	min := int(w.ro().Spec.MinReadySeconds)
	for _, rs := range w.rss() {
		v := version(&rs)
		pods := w.pods[rs.Name]
		missing := int(*rs.Spec.Replicas) - len(pods)
		if missing < 0 {
			sort.SliceStable(pods, func(i, j int) bool {
				ui, uj := pods[i].ready < 0 || pods[i].ready > w.now, pods[j].ready < 0 || pods[j].ready > w.now
				if ui != uj {
					return ui
				}
				return pods[i].created > pods[j].created
			})
			pods = pods[-missing:]
		}
		for i := 0; i < missing; i++ {
			ready := w.now + readyS
			if w.never(v) {
				ready = -1000000
			}
			pods = append(pods, playedPod{w.now, ready})
		}
		if missing > 0 && !w.never(v) {
			w.at(w.now+readyS, w.touch)
			if min > 0 {
				w.at(w.now+readyS+min, w.touch)
			}
		}
		w.pods[rs.Name] = pods
	}
	w.touch()
}

// touch brings the ReplicaSets' statuses up to date.

func (w *playedWorld) touch() {
	min := int(w.ro().Spec.MinReadySeconds)
	for _, rs := range w.rss() {
		rs := rs
		var created, ready, available int32
		for _, p := range w.pods[rs.Name] {
			created++
			if p.ready > -1000000 && p.ready <= w.now {
				ready++
				if p.ready+min <= w.now {
					available++
				}
			}
		}
		s := &rs.Status
		if s.Replicas != created || s.ReadyReplicas != ready || s.AvailableReplicas != available {
			s.Replicas, s.ReadyReplicas, s.AvailableReplicas = created, ready, available
			if _, err := w.kube.AppsV1().ReplicaSets("default").Update(context.TODO(), &rs, metav1.UpdateOptions{}); err != nil {
				panic(err)
			}
			w.dirty = true
		}
	}
}

func (w *playedWorld) kill(v string) {
	for _, rs := range w.rss() {
		if version(&rs) == v && len(w.pods[rs.Name]) > 0 {
			w.pods[rs.Name] = w.pods[rs.Name][1:]
			w.touch()
			w.at(w.now+creationS, w.settle)
		}
	}
}

func (w *playedWorld) stored() {
	ro := w.ro()
	v := w.versions[ro.Status.CurrentPodHash]
	if !w.rec && strings.HasPrefix(ro.Status.Message, "InvalidSpec") {
		w.rec = true
		w.start = w.now
	}
	if !w.rec && v == "v2" {
		w.rec = true
		w.start = w.now
	}
	if !w.rec {
		return
	}
	st := ro.Status
	var weight any
	if st.Canary.Weights != nil {
		weight = st.Canary.Weights.Canary.Weight
	}
	var step any
	if st.CurrentStepIndex != nil {
		step = *st.CurrentStepIndex
	}
	pause := []string{}
	for _, p := range st.PauseConditions {
		pause = append(pause, string(p.Reason))
	}
	conds := []string{}
	for _, c := range st.Conditions {
		conds = append(conds, fmt.Sprintf("%s=%s %s %s", c.Type, c.Status, c.Reason, c.Message))
	}
	sort.Strings(conds)
	sizes := map[string]any{}
	for _, rs := range w.rss() {
		rs := rs
		sizes[version(&rs)] = []any{*rs.Spec.Replicas, replicasetutil.HasScaleDownDeadline(&rs)}
	}
	seen := map[string]any{"phase": string(st.Phase), "step": step, "weight": weight, "abort": st.Abort, "pause": pause, "message": st.Message,
		"updated": st.UpdatedReplicas, "replicas": st.Replicas, "stable_is_current": st.StableRS == st.CurrentPodHash, "conditions": conds, "sizes": sizes,
		"available": st.AvailableReplicas, "ready": st.ReadyReplicas, "controller_pause": st.ControllerPause, "promote_full": st.PromoteFull, "revision": ro.Annotations["rollout.argoproj.io/revision"]}
	text, _ := json.Marshal(seen)
	if string(text) != w.last {
		w.last = string(text)
		w.trace = append(w.trace, map[string]any{"t": w.now - w.start, "rollout": seen})
	}
}
