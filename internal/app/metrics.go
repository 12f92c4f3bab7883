package app

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge/model"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/server"
	"github.com/gradus-ai/gradus/internal/store"
)

// metrics is what /metrics shows. Labels come from short lists of our own:
// nothing that a caller wrote becomes one.
type metrics struct {
	registry *prometheus.Registry

	requests   *prometheus.HistogramVec
	problems   *prometheus.CounterVec
	grades     *prometheus.CounterVec
	quotes     *prometheus.CounterVec
	items      *prometheus.CounterVec
	attempts   *prometheus.HistogramVec
	tokens     *prometheus.CounterVec
	cost       *prometheus.CounterVec
	retries    *prometheus.CounterVec
	fallbacks  *prometheus.CounterVec
	breakers   *prometheus.GaugeVec
	modelSlots *prometheus.GaugeVec
	notices    *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gradus_http_request_duration_seconds", Help: "Time to answer a request, by route, status and cache (hit, miss, shared or none).",
			Buckets: []float64{.0005, .001, .005, .02, .1, .5, 2, 10, 60},
		}, []string{"route", "method", "status", "cache"}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gradus_problems_total", Help: "Requests answered with a problem, by the last part of its type.",
		}, []string{"problem"}),
		quotes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gradus_quotes_total", Help: "Quotes that judges gave as proof, by judge and whether they stood (kept) or were not in the answer or prove nothing (dropped).",
		}, []string{"judge", "outcome"}),
		items: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gradus_batch_items_total", Help: "Items of batches that this process came to a result for: graded, needs_review or failed.",
		}, []string{"status"}),
		grades: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gradus_grades_total", Help: "Grades made (hits are not), by judge and outcome: graded, needs_review, degraded or failed.",
		}, []string{"judge", "outcome"}),
		attempts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gradus_model_attempt_duration_seconds", Help: "Time of one attempt at a model, by outcome: ok, refused, truncated or the kind of error.",
			Buckets: []float64{.1, .25, .5, 1, 2, 5, 10, 30, 60, 120},
		}, []string{"model", "outcome"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gradus_model_tokens_total", Help: "Tokens as the endpoint reported them, by kind: prompt, cached (part of prompt) or completion.",
		}, []string{"model", "kind"}),
		cost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gradus_model_cost_usd_total", Help: "Money spent on models in US dollars, by the tokens reported and GRADUS_PRICE; no series without a price.",
		}, []string{"model"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gradus_model_retries_total", Help: "Attempts that followed a failed one, by the kind of error that came before.",
		}, []string{"model", "kind"}),
		fallbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gradus_model_fallbacks_total", Help: "Calls passed on to the next model, by the reason.",
		}, []string{"from", "to", "reason"}),
		breakers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gradus_model_breaker_open", Help: "1 while a model is not asked because it failed too often.",
		}, []string{"model"}),
		modelSlots: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gradus_model_slots", Help: "Calls that a model may have in flight at once, as adapted to its rate limits.",
		}, []string{"model"}),
		notices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gradus_webhook_attempts_total", Help: "Attempts to tell a submitter that a batch is over, by outcome: delivered or failed.",
		}, []string{"outcome"}),
	}
	m.registry.MustRegister(m.requests, m.problems, m.grades, m.quotes, m.items, m.attempts, m.tokens, m.cost, m.retries, m.fallbacks, m.breakers, m.modelSlots, m.notices,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// exchange counts one request answered.
func (m *metrics) exchange(e server.Exchange) {
	cache := e.Cache
	if cache == "" {
		cache = "none"
	}
	m.requests.WithLabelValues(e.Route, e.Method, strconv.Itoa(e.Status), cache).Observe(e.Took.Seconds())
	if e.Problem != "" {
		m.problems.WithLabelValues(e.Problem).Inc()
	}
}

// graded counts one grade made, or the failure to make one.
func (m *metrics) graded(o grading.Observation) {
	m.grades.WithLabelValues(o.Judge, o.Outcome).Inc()
	if o.Quotes > 0 {
		m.quotes.WithLabelValues(o.Judge, "kept").Add(float64(o.Stood))
		m.quotes.WithLabelValues(o.Judge, "dropped").Add(float64(o.Quotes - o.Stood))
	}
}

// settled counts results of a batch that are kept.
func (m *metrics) settled(results []batch.Result) {
	for _, r := range results {
		m.items.WithLabelValues(string(r.Status)).Inc()
	}
}

// noticed counts one attempt at a webhook.
func (m *metrics) noticed(err error) {
	outcome := "delivered"
	if err != nil {
		outcome = "failed"
	}
	m.notices.WithLabelValues(outcome).Inc()
}

// watchQueue publishes how much work waits, and how much is being done, in all
// processes that share the queue. A queue that does not answer has no value.
func (m *metrics) watchQueue(depth func() (waiting, active int, err error)) {
	m.registry.MustRegister(&queueDepth{depth: depth, desc: prometheus.NewDesc("gradus_queue_chunks",
		"Chunks of batches in the queue, of all processes: waiting or active.", []string{"state"}, nil)})
}

type queueDepth struct {
	depth func() (waiting, active int, err error)
	desc  *prometheus.Desc
}

func (q *queueDepth) Describe(to chan<- *prometheus.Desc) { to <- q.desc }

func (q *queueDepth) Collect(to chan<- prometheus.Metric) {
	waiting, active, err := q.depth()
	if err != nil {
		return
	}
	to <- prometheus.MustNewConstMetric(q.desc, prometheus.GaugeValue, float64(waiting), "waiting")
	to <- prometheus.MustNewConstMetric(q.desc, prometheus.GaugeValue, float64(active), "active")
}

// model is what the layers around a model report to. Without a price list no
// money is counted.
func (m *metrics) model(price model.Price) llm.Observer {
	return llm.Observer{
		Attempt: func(a llm.Attempt) {
			outcome := "ok"
			switch {
			case a.Kind != "":
				outcome = a.Kind
			case a.Refused:
				outcome = "refused"
			case a.Truncated:
				outcome = "truncated"
			}
			m.attempts.WithLabelValues(a.Model, outcome).Observe(a.Took.Seconds())
			if price != nil {
				if dollars, known := price(a.Model, a.Usage); known {
					m.cost.WithLabelValues(a.Model).Add(dollars)
				}
			}
			m.tokens.WithLabelValues(a.Model, "prompt").Add(float64(a.Usage.PromptTokens))
			m.tokens.WithLabelValues(a.Model, "cached").Add(float64(a.Usage.CachedTokens))
			m.tokens.WithLabelValues(a.Model, "completion").Add(float64(a.Usage.CompletionTokens))
		},
		Waiting:  func(w llm.Waiting) { m.retries.WithLabelValues(w.Model, w.Kind).Inc() },
		Fallback: func(from, to, why string) { m.fallbacks.WithLabelValues(from, to, why).Inc() },
		Slots:    func(model string, slots int) { m.modelSlots.WithLabelValues(model).Set(float64(slots)) },
		Breaker: func(model string, open bool) {
			value := 0.0
			if open {
				value = 1
			}
			m.breakers.WithLabelValues(model).Set(value)
		},
	}
}

// watchStore publishes the store's own counters.
func (m *metrics) watchStore(s *store.Store) {
	counter := func(name, help string, labels prometheus.Labels, value func(store.Stats) uint64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value(s.Stats())) }))
	}
	const lookups = "Grades asked for, by where they were found: memory, redis, in flight (shared), or nowhere (miss)."
	for source, value := range map[string]func(store.Stats) uint64{
		"memory": func(s store.Stats) uint64 { return s.MemoryHits },
		"redis":  func(s store.Stats) uint64 { return s.SharedHits },
		"shared": func(s store.Stats) uint64 { return s.Shared },
		"miss":   func(s store.Stats) uint64 { return s.Misses },
	} {
		counter("gradus_cache_lookups_total", lookups, prometheus.Labels{"found": source}, value)
	}
	counter("gradus_redis_faults_total", "Operations on Redis that failed; grading went on without.", nil,
		func(s store.Stats) uint64 { return s.Faults })
	counter("gradus_cache_damaged_total", "Kept grades that could not be believed and were made again.", nil,
		func(s store.Stats) uint64 { return s.Damaged })
	m.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "gradus_redis_skipped", Help: "1 while Redis does not answer and is not asked."},
		func() float64 {
			if s.Stats().Skipping {
				return 1
			}
			return 0
		}))
}
