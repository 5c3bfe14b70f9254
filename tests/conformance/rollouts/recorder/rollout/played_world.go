// Played scenarios: the rollout controller on an in-memory API server, in virtual time of whole seconds.
//
// Nothing runs beside anything else: each look is one call of syncHandler on caches that are filled just before it.
package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	log "github.com/sirupsen/logrus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/dynamicinformer"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	kubeinformers "k8s.io/client-go/informers"
	k8sfake "k8s.io/client-go/kubernetes/fake"
	core "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/argoproj/argo-rollouts/analysis"
	"github.com/argoproj/argo-rollouts/metric"
	"github.com/argoproj/argo-rollouts/metricproviders/prometheus"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/pkg/client/clientset/versioned/fake"
	informers "github.com/argoproj/argo-rollouts/pkg/client/informers/externalversions"
	"github.com/argoproj/argo-rollouts/rollout/trafficrouting"
	ingressutil "github.com/argoproj/argo-rollouts/utils/ingress"
	istioutil "github.com/argoproj/argo-rollouts/utils/istio"
	"github.com/argoproj/argo-rollouts/utils/record"
	timeutil "github.com/argoproj/argo-rollouts/utils/time"
)

type playedEvent struct {
	at int
	id int
	do func()
}

type operatorWord struct {
	When string `json:"when"`
	Do   string `json:"do"`
}

type playedScenario struct {
	Rollout   json.RawMessage   `json:"rollout"`
	Templates []json.RawMessage `json:"templates"`
	Names     []string          `json:"names"`
	NewSteps  json.RawMessage   `json:"new_steps"`
	Script    map[string][]any  `json:"script"`
	Operator  []operatorWord    `json:"operator"`
	Never     []string          `json:"never"`
	Kills     [][]any           `json:"kills"`
	Lasts     int               `json:"lasts"`
}

const (
	reactionS = 1
	creationS = 7
	readyS    = 23
	operatorS = 3
	epochS    = 1700000000
)

type playedWorld struct {
	sc       playedScenario
	now      int
	client   *fake.Clientset
	kube     *k8sfake.Clientset
	c        *Controller
	an       *analysis.Recording
	ai       informers.SharedInformerFactory
	ki       kubeinformers.SharedInformerFactory
	events   []playedEvent
	ids      int
	dirty    bool
	pods     map[string][]playedPod
	trace    []map[string]any
	queries  []map[string]any
	asked    map[string]int
	rec      bool
	start    int
	waiting  []operatorWord
	busy     bool
	last     string
	arAt     map[string]int
	arSeen   map[string]string
	looks    int
	errs     []string
	versions map[string]string
	name     string
	done     map[int]bool
	mu       sync.Mutex
	pending  bool
}

func Play(raw []byte) (out map[string]any) {
	w := &playedWorld{pods: map[string][]playedPod{}, asked: map[string]int{}, arAt: map[string]int{}, arSeen: map[string]string{}, versions: map[string]string{}, done: map[int]bool{}}
	defer func() {
		if e := recover(); e != nil {
			out = map[string]any{"panic": fmt.Sprint(e), "trace": w.trace, "queries": w.queries, "errors": w.errs}
		}
	}()
	if err := json.Unmarshal(raw, &w.sc); err != nil {
		panic(err)
	}
	w.now = -200
	timeutil.SetNowTimeFunc(func() time.Time { return time.Unix(int64(epochS+w.now), 1000000).UTC() })
	nowFn = func() time.Time { return timeutil.Now() }
	w.waiting = w.sc.Operator
	w.build()
	w.dirty = true
	w.runUntil(-1)
	w.deploy("v2")
	w.runUntil(w.sc.Lasts)
	sort.Strings(w.errs)
	return map[string]any{"trace": w.trace, "queries": w.queries, "errors": w.errs, "looks": w.looks, "now": w.now}
}

func (w *playedWorld) at(t int, do func()) {
	w.ids++
	w.events = append(w.events, playedEvent{t, w.ids, do})
}

func (w *playedWorld) build() {
	ro := &v1alpha1.Rollout{}
	if err := json.Unmarshal(w.sc.Rollout, ro); err != nil {
		panic(err)
	}
	ro.Namespace = "default"
	ro.UID = "uid-ro"
	ro.Generation = 1
	w.name = ro.Name
	if ro.Spec.Replicas == nil {
		one := int32(1)
		ro.Spec.Replicas = &one
	}
	w.client = fake.NewSimpleClientset(ro)
	svc := func(n string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: n, Namespace: "default"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "a"}}}
	}
	w.kube = k8sfake.NewSimpleClientset(svc("canary"), svc("stable"))
	w.kube.PrependReactor("create", "replicasets", func(a core.Action) (bool, runtime.Object, error) {
		rs := a.(core.CreateAction).GetObject().(*appsv1.ReplicaSet)
		rs.UID = types.UID("uid-" + rs.Name)
		rs.Generation = 1
		rs.Status.ObservedGeneration = 1
		rs.CreationTimestamp = metav1.Time{Time: time.Unix(int64(epochS+w.now), 0)}
		return false, nil, nil
	})
	w.client.PrependReactor("create", "analysisruns", func(a core.Action) (bool, runtime.Object, error) {
		ar := a.(core.CreateAction).GetObject().(*v1alpha1.AnalysisRun)
		ar.UID = types.UID("uid-" + ar.Name)
		ar.CreationTimestamp = metav1.Time{Time: time.Unix(int64(epochS+w.now), 0)}
		return false, nil, nil
	})
	w.ai = informers.NewSharedInformerFactory(w.client, 0)
	w.ki = kubeinformers.NewSharedInformerFactory(w.kube, 0)
	scheme := runtime.NewScheme()
	v1alpha1.AddToScheme(scheme)
	vs, dr := istioutil.GetIstioVirtualServiceGVR(), istioutil.GetIstioDestinationRuleGVR()
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(scheme, map[schema.GroupVersionResource]string{vs: vs.Resource + "List", dr: dr.Resource + "List"})
	df := dynamicinformer.NewDynamicSharedInformerFactory(dyn, 0)
	iw, err := ingressutil.NewIngressWrapper(ingressutil.IngressModeExtensions, w.kube, w.ki)
	if err != nil {
		panic(err)
	}
	q := func(n string) workqueue.RateLimitingInterface {
		return workqueue.NewNamedRateLimitingQueue(workqueue.NewItemExponentialFailureRateLimiter(time.Millisecond, time.Second), n)
	}
	w.c = NewController(ControllerConfig{
		Namespace: metav1.NamespaceAll, KubeClientSet: w.kube, ArgoProjClientset: w.client, DynamicClientSet: dyn,
		ExperimentInformer: w.ai.Argoproj().V1alpha1().Experiments(), AnalysisRunInformer: w.ai.Argoproj().V1alpha1().AnalysisRuns(),
		AnalysisTemplateInformer: w.ai.Argoproj().V1alpha1().AnalysisTemplates(), ClusterAnalysisTemplateInformer: w.ai.Argoproj().V1alpha1().ClusterAnalysisTemplates(),
		ReplicaSetInformer: w.ki.Apps().V1().ReplicaSets(), ServicesInformer: w.ki.Core().V1().Services(), IngressWrapper: iw,
		RolloutsInformer: w.ai.Argoproj().V1alpha1().Rollouts(), IstioPrimaryDynamicClient: dyn,
		IstioVirtualServiceInformer: df.ForResource(vs).Informer(), IstioDestinationRuleInformer: df.ForResource(dr).Informer(),
		ResyncPeriod: 15 * time.Minute, RolloutWorkQueue: q("r"), ServiceWorkQueue: q("s"), IngressWorkQueue: q("i"),
		MetricsServer: nullMetrics{}, Recorder: record.NewFakeEventRecorder(), RefResolver: nullResolver{},
		EphemeralMetadataThreads: 1, EphemeralMetadataPodRetries: 1,
	})
	w.c.enqueueRollout = func(any) { w.dirty = true }
	after := func(_ any, d time.Duration) {
		s := int((d + time.Second - 1) / time.Second)
		if s < 0 {
			s = 0
		}
		w.at(w.now+s, func() { w.dirty = true })
	}
	w.c.enqueueRolloutAfter = after
	w.c.podRestarter.enqueueAfter = after
	w.c.newTrafficRoutingReconciler = func(r *rolloutContext) ([]trafficrouting.TrafficRoutingReconciler, error) {
		if tr := r.rollout.Spec.Strategy.Canary.TrafficRouting; tr == nil || (tr.SMI == nil && len(tr.Plugins) == 0) {
			return nil, nil
		}
		return []trafficrouting.TrafficRoutingReconciler{fakeRouter{w}}, nil
	}
	for _, t := range w.sc.Templates {
		at := &v1alpha1.AnalysisTemplate{}
		if err := json.Unmarshal(t, at); err != nil {
			panic(err)
		}
		at.Namespace = "default"
		if _, err := w.client.ArgoprojV1alpha1().AnalysisTemplates("default").Create(context.TODO(), at, metav1.CreateOptions{}); err != nil {
			panic(err)
		}
	}
	w.an = analysis.NewRecording(w.kube, w.client, func(l log.Entry, _ string, m v1alpha1.Metric) (metric.Provider, error) {
		return prometheus.NewPrometheusProvider(promAPI{w: w, m: m.Name}, l, m)
	})
	for t := 0; t < w.sc.Lasts; t++ {
		w.at(t, func() {})
	}
	for _, k := range w.sc.Kills {
		kill := k
		w.at(int(kill[0].(float64)), func() { w.kill(kill[1].(string)) })
	}
}

func (w *playedWorld) sync() {
	fill := func(ix cache.Indexer, objs []any) {
		if err := ix.Replace(objs, ""); err != nil {
			panic(err)
		}
	}
	ctx, l := context.TODO(), metav1.ListOptions{}
	ros, _ := w.client.ArgoprojV1alpha1().Rollouts("").List(ctx, l)
	ars, _ := w.client.ArgoprojV1alpha1().AnalysisRuns("").List(ctx, l)
	ats, _ := w.client.ArgoprojV1alpha1().AnalysisTemplates("").List(ctx, l)
	rss, _ := w.kube.AppsV1().ReplicaSets("").List(ctx, l)
	svs, _ := w.kube.CoreV1().Services("").List(ctx, l)
	var a, b, c, d, e []any
	for i := range ros.Items {
		a = append(a, &ros.Items[i])
	}
	for i := range ars.Items {
		b = append(b, &ars.Items[i])
	}
	for i := range ats.Items {
		c = append(c, &ats.Items[i])
	}
	for i := range rss.Items {
		d = append(d, &rss.Items[i])
	}
	for i := range svs.Items {
		e = append(e, &svs.Items[i])
	}
	fill(w.ai.Argoproj().V1alpha1().Rollouts().Informer().GetIndexer(), a)
	fill(w.ai.Argoproj().V1alpha1().AnalysisRuns().Informer().GetIndexer(), b)
	fill(w.ai.Argoproj().V1alpha1().AnalysisTemplates().Informer().GetIndexer(), c)
	fill(w.ki.Apps().V1().ReplicaSets().Informer().GetIndexer(), d)
	fill(w.ki.Core().V1().Services().Informer().GetIndexer(), e)
}

func (w *playedWorld) ro() *v1alpha1.Rollout {
	ro, err := w.client.ArgoprojV1alpha1().Rollouts("default").Get(context.TODO(), w.name, metav1.GetOptions{})
	if err != nil {
		panic(err)
	}
	return ro
}

func (w *playedWorld) rss() []appsv1.ReplicaSet {
	l, err := w.kube.AppsV1().ReplicaSets("default").List(context.TODO(), metav1.ListOptions{})
	if err != nil {
		panic(err)
	}
	return l.Items
}

func version(rs *appsv1.ReplicaSet) string {
	return strings.TrimPrefix(rs.Spec.Template.Spec.Containers[0].Image, "app:")
}

func (w *playedWorld) look() {
	w.pending = false
	w.looks++
	if w.looks > 6000 {
		panic("never comes to rest")
	}
	w.sync()
	before := map[string]int32{}
	for _, rs := range w.rss() {
		before[rs.Name] = *rs.Spec.Replicas
	}
	old, _ := json.Marshal(w.ro())
	oldRS, _ := json.Marshal(w.rss())
	err := w.c.syncHandler(context.TODO(), "default/"+w.name)
	if err != nil {
		w.errs = append(w.errs, err.Error())
		w.dirty = true
	}
	now, _ := json.Marshal(w.ro())
	nowRS, _ := json.Marshal(w.rss())
	if string(old) != string(now) || string(oldRS) != string(nowRS) {
		w.dirty = true
	}
	for _, rs := range w.rss() {
		rs := rs
		was, known := before[rs.Name]
		if !known {
			w.versions[rs.Labels[v1alpha1.DefaultRolloutUniqueLabelKey]] = version(&rs)
			w.dirty = true
		}
		if (!known && *rs.Spec.Replicas > 0) || (known && was != *rs.Spec.Replicas) {
			w.at(w.now+creationS, w.settle)
			w.dirty = true
		}
	}
	w.stored()
}

func (w *playedWorld) runUntil(end int) {
	for {
		w.analyse()
		if w.dirty {
			w.dirty = false
			if !w.pending {
				w.pending = true
				w.at(w.now+reactionS, w.look)
			}
		}
		w.operate()
		best := -1
		for i, e := range w.events {
			if best < 0 || e.at < w.events[best].at || (e.at == w.events[best].at && e.id < w.events[best].id) {
				best = i
			}
		}
		t := 1 << 40
		if best >= 0 {
			t = w.events[best].at
		}
		l, _ := w.client.ArgoprojV1alpha1().AnalysisRuns("default").List(context.TODO(), metav1.ListOptions{})
		for _, ar := range l.Items {
			if at, ok := w.arAt[ar.Name+ar.CreationTimestamp.String()]; ok && !ar.Status.Phase.Completed() && at < t {
				t = at
			}
		}
		if t > end {
			w.now = end
			return
		}
		if t > w.now {
			w.now = t
		}
		if best >= 0 && w.events[best].at <= w.now {
			e := w.events[best]
			w.events = append(w.events[:best], w.events[best+1:]...)
			e.do()
		}
	}
}
