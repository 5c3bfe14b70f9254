// Oracle answers PromQL with Prometheus' own engine. It reads one JSON document from standard input, series and
// evaluations in the form of the recordings under tests/conformance/promql, and writes the evaluations with their
// answers, one a line. A Python test compares them with what our engine says.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

type document struct {
	Series []struct {
		Labels  map[string]string `json:"labels"`
		Samples [][2]any          `json:"samples"`
	} `json:"series"`
	Evals []evaluation `json:"evals"`
}

type evaluation struct {
	Query string   `json:"query"`
	Time  *float64 `json:"time,omitempty"`
	Start *float64 `json:"start,omitempty"`
	End   *float64 `json:"end,omitempty"`
	Step  *float64 `json:"step,omitempty"`

	Type     string   `json:"type,omitempty"`
	Result   any      `json:"result,omitempty"`
	Error    string   `json:"error,omitempty"`
	Message  string   `json:"message,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Infos    []string `json:"infos,omitempty"`
}

type sample struct {
	t int64
	f float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// memory holds series in the order of their labels, which is how our store lists them.
type memory struct{ series []storage.Series }

func (m memory) Querier(_, _ int64) (storage.Querier, error) { return m, nil }
func (m memory) Close() error                                { return nil }

func (m memory) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (m memory) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (m memory) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &selected{at: -1}
next:
	for _, series := range m.series {
		for _, matcher := range matchers {
			if !matcher.Matches(series.Labels().Get(matcher.Name)) {
				continue next
			}
		}
		set.series = append(set.series, series)
	}
	return set
}

type selected struct {
	series []storage.Series
	at     int
}

func (s *selected) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *selected) At() storage.Series                { return s.series[s.at] }
func (s *selected) Err() error                        { return nil }
func (s *selected) Warnings() annotations.Annotations { return nil }

func number(given any) (float64, error) {
	switch v := given.(type) {
	case float64:
		return v, nil
	case string:
		if v == "stale" {
			return math.Float64frombits(value.StaleNaN), nil
		}
		return strconv.ParseFloat(v, 64)
	}
	return 0, fmt.Errorf("%v is no number", given)
}

func text(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func loaded(doc document) (memory, error) {
	var store memory
	for _, each := range doc.Series {
		var samples []chunks.Sample
		for _, pair := range each.Samples {
			t, err := number(pair[0])
			if err != nil {
				return store, err
			}
			f, err := number(pair[1])
			if err != nil {
				return store, err
			}
			samples = append(samples, sample{int64(math.Round(t * 1000)), f})
		}
		store.series = append(store.series, storage.NewListSeries(labels.FromMap(each.Labels), samples))
	}
	slices.SortFunc(store.series, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return store, nil
}

func moment(seconds float64) time.Time { return time.UnixMilli(int64(math.Round(seconds * 1000))) }

func kind(err error) string {
	var timeout promql.ErrQueryTimeout
	if errors.As(err, &timeout) {
		return "timeout"
	}
	return "execution"
}

func answer(engine *promql.Engine, store memory, e *evaluation) {
	ctx := context.Background()
	var query promql.Query
	var err error
	if e.Time != nil {
		query, err = engine.NewInstantQuery(ctx, store, nil, e.Query, moment(*e.Time))
	} else {
		step := time.Duration(*e.Step * float64(time.Second))
		query, err = engine.NewRangeQuery(ctx, store, nil, e.Query, moment(*e.Start), moment(*e.End), step)
	}
	if err != nil {
		e.Error, e.Message = "bad_data", err.Error()
		return
	}
	defer query.Close()
	result := query.Exec(ctx)
	e.Warnings, e.Infos = result.Warnings.AsStrings(e.Query, 0, 0)
	if result.Err != nil {
		e.Error, e.Message = kind(result.Err), result.Err.Error()
		return
	}
	e.Type = string(result.Value.Type())
	rows := []any{}
	switch v := result.Value.(type) {
	case promql.Scalar:
		e.Result = []any{float64(v.T) / 1000, text(v.V)}
		return
	case promql.String:
		e.Result = []any{float64(v.T) / 1000, v.V}
		return
	case promql.Vector:
		for _, s := range v {
			rows = append(rows, map[string]any{"metric": s.Metric.Map(), "value": []any{float64(s.T) / 1000, text(s.F)}})
		}
	case promql.Matrix:
		for _, s := range v {
			points := []any{}
			for _, p := range s.Floats {
				points = append(points, []any{float64(p.T) / 1000, text(p.F)})
			}
			rows = append(rows, map[string]any{"metric": s.Metric.Map(), "values": points})
		}
	}
	e.Result = rows
}

func newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples:               50_000_000,
		Timeout:                  30 * time.Second,
		LookbackDelta:            5 * time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   parser.NewParser(parser.Options{}),
	})
}

func run() error {
	var doc document
	if err := json.NewDecoder(bufio.NewReader(os.Stdin)).Decode(&doc); err != nil {
		return err
	}
	store, err := loaded(doc)
	if err != nil {
		return err
	}
	engine := newEngine()
	defer engine.Close()
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for i := range doc.Evals {
		answer(engine, store, &doc.Evals[i])
		if err := encoder.Encode(doc.Evals[i]); err != nil {
			return err
		}
	}
	return out.Flush()
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "bench" {
		if err := bench(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "oracle:", err)
			os.Exit(2)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(2)
	}
}
