package main_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// fleet is services and workers over one Redis, which they reach through a
// proxy that can misbehave. Its own methods are for the goroutine of the test.
type fleet struct {
	t         *testing.T
	redis     *storetest.Server
	proxy     *toxiproxy.Proxy
	variables []string
	workers   []*process
	gone      []*process // those that were killed or told to stop
	stopping  []*process // those of gone that have to end well

	mu      sync.Mutex
	servers []*process
	client  *http.Client
}

// newFleet starts so many services and workers.
func newFleet(t *testing.T, servers, workers int, variables ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, redis: storetest.Start(t), client: clientFor(t)}
	f.client.Timeout = 15 * time.Second
	f.proxy = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "redis", "127.0.0.1:0", f.redis.Addr())
	require.NoError(t, f.proxy.Start())
	t.Cleanup(f.proxy.Stop)
	f.variables = append([]string{
		"REDIS_URL=" + strings.Replace(f.redis.TCPURL(), f.redis.Addr(), f.proxy.Listen, 1), "LOG_LEVEL=info",
	}, variables...)
	for range servers {
		f.servers = append(f.servers, startServe(t, f.variables...))
	}
	for range workers {
		f.workers = append(f.workers, startWorker(t, f.variables...))
	}
	return f
}

// url is the address of the nth service, as it is at the moment.
func (f *fleet) url(n int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.servers[n%len(f.servers)].url
}

// kill9Server ends a service as a crash would and starts another in its place.
func (f *fleet) kill9Server(n int) {
	p := f.servers[n]
	p.signal(syscall.SIGKILL)
	f.gone = append(f.gone, p)
	<-p.done
	next := startServe(f.t, f.variables...)
	f.mu.Lock()
	f.servers[n] = next
	f.mu.Unlock()
}

func (f *fleet) kill9Worker(n int) {
	f.workers[n].signal(syscall.SIGKILL)
	f.replaceWorker(n)
}

// stopWorker tells a worker to stop; that it ended well is demanded at the end.
func (f *fleet) stopWorker(n int) {
	f.workers[n].signal(syscall.SIGTERM)
	f.stopping = append(f.stopping, f.workers[n])
	f.replaceWorker(n)
}

func (f *fleet) replaceWorker(n int) {
	f.gone = append(f.gone, f.workers[n])
	f.workers[n] = startWorker(f.t, f.variables...)
}

// suffer lets something be wrong with the way to Redis for a while.
func (f *fleet) suffer(toxic string, d time.Duration) {
	_, err := f.proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	require.NoError(f.t, err)
	pass(d)
	f.proxy.Toxics.ResetToxics(f.t.Context())
}

// pass lets time go by, with nothing to wait for but trouble.
func pass(d time.Duration) { <-time.After(d) }

// torment does everything to a fleet that may happen to one, in an order and at
// moments of chance, for so long and at least once each.
func (f *fleet) torment(chance *rand.Rand, d time.Duration) (log []string) {
	began := time.Now()
	some := func(least, most int) time.Duration {
		return time.Duration(least+chance.IntN(most-least)) * time.Millisecond
	}
	acts := []struct {
		name string
		do   func()
	}{
		{"kill -9 a service", func() { f.kill9Server(chance.IntN(len(f.servers))) }},
		{"kill -9 a worker", func() { f.kill9Worker(chance.IntN(len(f.workers))) }},
		{"kill -9 another worker", func() { f.kill9Worker(chance.IntN(len(f.workers))) }},
		{"SIGTERM a worker", func() { f.stopWorker(chance.IntN(len(f.workers))) }},
		{"kill -9 Redis", func() {
			f.redis.Kill9()
			pass(some(100, 2000))
			f.redis.Restart(f.t)
		}},
		{"a slow Redis", func() { f.suffer(`{"type":"latency","attributes":{"latency":200,"jitter":100}}`, some(500, 3000)) }},
		{"connections reset", func() { f.suffer(`{"type":"reset_peer","attributes":{"timeout":0}}`, some(100, 1500)) }},
		{"answers reset", func() { f.suffer(`{"type":"limit_data","attributes":{"bytes":2000}}`, some(500, 1500)) }},
		{"a black hole", func() { f.suffer(`{"type":"timeout","attributes":{"timeout":0}}`, some(500, 4000)) }},
		{"a Redis that hangs", func() {
			f.redis.Pause()
			pass(some(300, 3000))
			f.redis.Resume()
		}},
	}
	for first := true; first || time.Since(began) < d; first = false {
		for _, i := range chance.Perm(len(acts)) {
			if !first && time.Since(began) > d {
				break
			}
			pass(some(200, 1500))
			log = append(log, fmt.Sprintf("%6.1fs %s", time.Since(began).Seconds(), acts[i].name))
			acts[i].do()
		}
	}
	return log
}

// ask sends a request to the nth service. An error is one of the connection, or
// of a reply that was cut short.
func (f *fleet) ask(ctx context.Context, n int, method, path string, body string, headers ...string) (status int, header http.Header, reply []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, f.url(n)+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	reply, err = io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, reply, err
}

// retire stops everything and looks for what must not be in any log.
func (f *fleet) retire() {
	f.t.Helper()
	all := append(append([]*process{}, f.servers...), f.workers...)
	for _, p := range all {
		p.signal(syscall.SIGTERM)
	}
	for _, p := range append(all, f.stopping...) {
		assert.Equal(f.t, 0, p.exits(), "told to stop it ends well: %s", p)
	}
	for _, p := range append(all, f.gone...) {
		log := p.log.String()
		for _, word := range []string{secretWord, "panic", "DATA RACE"} {
			if at := strings.Index(strings.ToLower(log), strings.ToLower(word)); at >= 0 {
				assert.Failf(f.t, "a log says what it must not", "%s: %s", word, log[max(0, at-500):min(len(log), at+3000)])
			}
		}
	}
}
