package app

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/fx"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/router"
)

var metricsModule = fx.Module("metrics", fx.Provide(newStanzaObserver, newStateMetrics, newMetrics))

const namespace = "postern" // of all metrics

// MetricsParams is what is measured.
type MetricsParams struct {
	fx.In

	Params    Params
	Component *component.Component
	Router    *router.Router
	Observer  *stanzaObserver
	More      []prometheus.Collector `group:"metrics"`
}

func newMetrics(p MetricsParams) (*prometheus.Registry, error) {
	reg := prometheus.NewRegistry()
	all := append([]prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(p.Params),
		componentMetrics(p.Component),
		routerMetrics(p.Router),
		p.Observer,
	}, p.More...)
	if p.Params.dropped != nil {
		all = append(all, figures{counter("log_dropped_lines_total", "Lines of the log that the output did not take, or that said the same too often.",
			func() float64 { return float64(p.Params.dropped()) })})
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return reg, nil
}

func buildInfo(p Params) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"name": p.Name, "version": p.Version, "domain": p.Config.Component.Domain.String()},
	})
	g.Set(1)
	return g
}

// figure is a metric that is read when somebody asks.
type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func() float64
}

// figures is a collector of such metrics.
type figures []figure

func counter(name, help string, read func() float64) figure {
	return figure{prometheus.NewDesc(namespace+"_"+name, help, nil, nil), prometheus.CounterValue, read}
}

func gauge(name, help string, read func() float64) figure {
	return figure{prometheus.NewDesc(namespace+"_"+name, help, nil, nil), prometheus.GaugeValue, read}
}

// Describe implements prometheus.Collector.
func (fs figures) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range fs {
		ch <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (fs figures) Collect(ch chan<- prometheus.Metric) {
	for _, f := range fs {
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.read())
	}
}

// stanzaObserver counts what came of the stanzas, by kind, type and outcome.
type stanzaObserver struct {
	handled *prometheus.CounterVec
	took    *prometheus.HistogramVec
}

func newStanzaObserver() *stanzaObserver {
	return &stanzaObserver{
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "stanzas_handled_total", Help: "Stanzas by what came of them.",
		}, []string{"kind", "type", "outcome"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "handler_seconds", Help: "Time spent in handlers.",
			Buckets: []float64{.0001, .001, .01, .1, 1, 10, 30},
		}, []string{"kind"}),
	}
}

// ObserveStanza implements router.Observer.
func (o *stanzaObserver) ObserveStanza(ob router.Observation) {
	kind := ob.Kind.String()
	o.handled.WithLabelValues(kind, ob.Type, string(ob.Outcome)).Inc()
	o.took.WithLabelValues(kind).Observe(ob.Took.Seconds())
}

// Describe implements prometheus.Collector.
func (o *stanzaObserver) Describe(ch chan<- *prometheus.Desc) {
	o.handled.Describe(ch)
	o.took.Describe(ch)
}

// Collect implements prometheus.Collector.
func (o *stanzaObserver) Collect(ch chan<- prometheus.Metric) {
	o.handled.Collect(ch)
	o.took.Collect(ch)
}
