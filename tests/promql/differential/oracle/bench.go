package main

import (
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

const (
	pods       = 10
	scrapes    = 61
	intervalMs = 15_000
)

var (
	statuses = []string{"200", "404", "500", "503"}
	bounds   = []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"}
)

// bench times the two queries that bench/promql.py times, over the same counters, each run under a label `run`.
// Samples lie in plain slices: decoding chunks would only make it slower.
func bench(given string) error {
	runs, err := strconv.Atoi(given)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	var store memory
	for run := range runs {
		for pod := range pods {
			for i, status := range statuses {
				store.add(run, pod, "http_requests_total", "status", status, 1+(pod*31+i*7+run*17)%97)
			}
			for i, bound := range bounds {
				store.add(run, pod, "http_request_duration_seconds_bucket", "le", bound, (i+1)*(1+(pod*7+run*13)%11))
			}
		}
	}
	engine := newEngine()
	defer engine.Close()
	at := float64((scrapes-1)*intervalMs) / 1000
	for _, query := range []string{
		`sum by (run) (rate(http_requests_total{service="orders-api",status=~"5.."}[5m])) / sum by (run) (rate(http_requests_total{service="orders-api"}[5m]))`,
		`histogram_quantile(0.95, sum by (le, run) (rate(http_request_duration_seconds_bucket{service="orders-api"}[5m])))`,
	} {
		best := time.Duration(1 << 62)
		total := 0.0
		for range 5 {
			e := evaluation{Query: query, Time: &at}
			started := time.Now()
			answer(engine, store, &e)
			best = min(best, time.Since(started))
			total = 0
			for _, row := range e.Result.([]any) {
				v, _ := number(row.(map[string]any)["value"].([]any)[1])
				total += v
			}
		}
		fmt.Println(best.Seconds(), text(total))
	}
	return nil
}

func (m *memory) add(run, pod int, name, label, value string, rate int) {
	lset := labels.FromStrings("__name__", name, "service", "orders-api", "pod", "p"+strconv.Itoa(pod), label, value, "run", strconv.Itoa(run))
	samples := make([]chunks.Sample, scrapes)
	for k := range samples {
		samples[k] = sample{int64(k * intervalMs), float64(k * rate)}
	}
	m.series = append(m.series, storage.NewListSeries(lset, samples))
}
