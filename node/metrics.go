package node

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tunic/api"
	"tunic/chain"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/registry"
)

// streamOperation is the operation whose requests last as long as they are
// listened to.
const streamOperation = "streamEvents"

// Metrics counts what a ledger and its API do. Its labels are operations of
// openapi.yaml, classes of status and states of nodes: they are bounded, and name
// neither an address nor a node. Safe for concurrent use; implements api.Observer.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec   // by operation and class of status
	duration *prometheus.HistogramVec // by operation
	inFlight prometheus.Gauge
	streams  prometheus.Gauge
	limited  prometheus.Counter
	panics   prometheus.Counter
	sealing  prometheus.Histogram
}

var _ api.Observer = (*Metrics)(nil)

// NewMetrics counts from zero. present is the ledger whose state is shown; it is
// asked for each time, and may say nil.
func NewMetrics(present func() *ledger.Ledger) *Metrics {
	seconds := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tunic_http_requests_total",
			Help: "Requests answered, by operation of the API (none: no route, or over the limit) and class of status (cut: the client went before)."}, []string{"operation", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tunic_http_request_duration_seconds",
			Help: "Time until the answer was written, by operation; event streams are left out.", Buckets: seconds}, []string{"operation"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tunic_http_requests_in_flight", Help: "Requests that are being answered, event streams left out."}),
		streams:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "tunic_event_streams", Help: "Event streams that are open."}),
		limited:  prometheus.NewCounter(prometheus.CounterOpts{Name: "tunic_http_rate_limited_total", Help: "Requests refused because their address asked too often."}),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "tunic_http_panics_total", Help: "Requests that ended in a fault of this program."}),
		sealing: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tunic_block_seal_duration_seconds",
			Help: "Time to make, store and seal a block; its count is that of the blocks sealed.", Buckets: seconds}),
	}
	m.registry.MustRegister(m.requests, m.duration, m.inFlight, m.streams, m.limited, m.panics, m.sealing, ledgerState{present},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Began counts a request in flight.
func (m *Metrics) Began(operation string) {
	if operation == streamOperation {
		m.streams.Inc()
		return
	}
	m.inFlight.Inc()
}

// Ended counts an answer.
func (m *Metrics) Ended(x api.Exchange) {
	operation, status := x.Operation, "cut"
	switch operation {
	case "":
		operation = "none"
	case streamOperation:
		m.streams.Dec()
	default:
		m.inFlight.Dec()
		m.duration.WithLabelValues(operation).Observe(x.Took.Seconds())
	}
	if x.Status != 0 {
		status = strconv.Itoa(x.Status/100) + "xx"
	}
	m.requests.WithLabelValues(operation, status).Inc()
	if x.Status == http.StatusTooManyRequests {
		m.limited.Inc()
	}
	if x.Panicked {
		m.panics.Inc()
	}
}

// Sealed counts a block that was sealed.
func (m *Metrics) Sealed(_ chain.Header, took time.Duration) { m.sealing.Observe(took.Seconds()) }

// handler shows the metrics as Prometheus reads them.
func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 3, Timeout: 10 * time.Second})
}

// ledgerState reads the ledger's state when it is asked for.
type ledgerState struct{ present func() *ledger.Ledger }

var (
	upDesc      = prometheus.NewDesc("tunic_ledger_up", "1 while the ledger can write.", nil, nil)
	heightDesc  = prometheus.NewDesc("tunic_height", "Height of the head.", nil, nil)
	epochDesc   = prometheus.NewDesc("tunic_epoch", "Epoch of the head.", nil, nil)
	headDesc    = prometheus.NewDesc("tunic_head_time_seconds", "Time of the head, in seconds since the Unix epoch.", nil, nil)
	mempoolDesc = prometheus.NewDesc("tunic_mempool_transactions", "Transactions and statements that wait.", nil, nil)
	listedDesc  = prometheus.NewDesc("tunic_nodes_listed", "Nodes in the directory.", nil, nil)
	nodesDesc   = prometheus.NewDesc("tunic_nodes", "Nodes ever registered, by state.", []string{"state"}, nil)
)

// Describe names what Collect gives.
func (s ledgerState) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{upDesc, heightDesc, epochDesc, headDesc, mempoolDesc, listedDesc, nodesDesc} {
		to <- d
	}
}

// Collect reads the state once.
func (s ledgerState) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	l := s.present()
	if l == nil || l.Err() != nil {
		gauge(upDesc, 0)
		return
	}
	gauge(upDesc, 1)
	gauge(mempoolDesc, float64(l.Waiting()))
	states, listed := map[registry.State]int{}, 0
	var head chain.Header
	l.View(func(m *machine.Machine) {
		head = m.Head()
		for n := range m.Registry().All() {
			states[n.State]++
			if n.Listed {
				listed++
			}
		}
	})
	gauge(heightDesc, float64(head.Height))
	gauge(epochDesc, float64(head.DirEpoch))
	gauge(headDesc, float64(head.Time)/1000)
	gauge(listedDesc, float64(listed))
	for state := registry.Registered; state <= registry.Tombstoned; state++ {
		gauge(nodesDesc, float64(states[state]), state.String())
	}
}
