package analysis

import (
	"time"

	log "github.com/sirupsen/logrus"
	"k8s.io/client-go/kubernetes"

	"github.com/argoproj/argo-rollouts/metric"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	clientset "github.com/argoproj/argo-rollouts/pkg/client/clientset/versioned"
	"github.com/argoproj/argo-rollouts/utils/record"
)

// Recording reconciles runs one at a time, for a caller that keeps the time.
type Recording struct {
	c     *Controller
	After *time.Duration
}

func NewRecording(kube kubernetes.Interface, argo clientset.Interface, provider func(log.Entry, string, v1alpha1.Metric) (metric.Provider, error)) *Recording {
	o := &Recording{}
	o.c = &Controller{kubeclientset: kube, argoProjClientset: argo, newProvider: provider, recorder: record.NewFakeEventRecorder()}
	o.c.enqueueAnalysis = func(obj any) {}
	o.c.enqueueAnalysisAfter = func(obj any, d time.Duration) { o.After = &d }
	return o
}

func (o *Recording) Reconcile(run *v1alpha1.AnalysisRun) *v1alpha1.AnalysisRun {
	o.After = nil
	return o.c.reconcileAnalysisRun(run)
}
