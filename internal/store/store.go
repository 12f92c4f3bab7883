// Package store keeps grades, computes each at most once at a time, and is the
// record of batches.
//
// In front stands a memory cache bounded by bytes; behind it, where a Redis is
// configured, stands that Redis, shared with other processes: a grade made by
// one is a hit for all, and identical requests in flight share one computation
// across processes. Without a Redis an embedded one runs inside the process,
// so that whatever else needs a Redis has one code path; grades then live in
// the bounded memory cache alone.
//
// The shared store is never in the way of grading. Every operation on it has a
// short budget, a breaker skips it while it does not answer, and what it holds
// is believed only when its checksum stands: anything else is a miss that gets
// replaced.
//
// Batches are another matter: of them the Redis at Config.URL holds the only
// record, and an operation that it did not do is an error (Batches).
//
// The package refuses to know what a grade means, how it is made and who asks
// for it. It is the only one that speaks to Redis.
package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/gradus-ai/gradus/internal/grading"
)

var _ grading.Cache = (*Store)(nil)

// ErrUnavailable is wrapped by errors that say the shared store did not do what
// was asked. Fetch never returns it: it computes instead.
var ErrUnavailable = errors.New("store unavailable")

// Config says where things are kept and for how long. The zero value is an
// embedded store with the defaults named below.
type Config struct {
	// URL of the Redis for what must not be lost: redis://, rediss:// or
	// unix://. Its query parameters are those of go-redis. Empty: embedded.
	URL string
	// CacheURL is a second Redis for grades only, free to evict. Empty: URL.
	CacheURL string
	// MemoryOnly starts no embedded Redis: for a command that grades and ends.
	// It has no effect together with URL.
	MemoryOnly bool
	// AllowVolatile takes batches in although Redis would lose them: without an
	// append-only file, or with an eviction policy.
	AllowVolatile bool
	// Prefix begins the name of every key and channel. Default "gradus:".
	Prefix string
	// Retention is how long a grade is kept after it was made. Default 30 days.
	Retention time.Duration
	// MemoryBytes bounds the memory cache. Default 64 MiB.
	MemoryBytes uint64
	// Budget is how long one lookup or write of a grade may hold a request up.
	// Default 250 ms.
	Budget time.Duration
	// Lease is how long the lock on a computation outlives a process that
	// died: others take over after that. Default 3 s.
	Lease time.Duration
	// Tracers makes a span of every command, without its arguments. Default: nobody traces.
	Tracers trace.TracerProvider
	// Now is the clock for expiry and skew. Default time.Now.
	Now func() time.Time
	// Logger default is slog.Default.
	Logger *slog.Logger
}

const (
	defaultRetention   = 30 * 24 * time.Hour
	defaultMemoryBytes = 64 << 20
	defaultBudget      = 250 * time.Millisecond
	defaultLease       = 3 * time.Second
)

func (c *Config) setDefaults() {
	if c.Prefix == "" {
		c.Prefix = "gradus:"
	}
	if c.Retention <= 0 {
		c.Retention = defaultRetention
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = defaultMemoryBytes
	}
	if c.Budget <= 0 {
		c.Budget = defaultBudget
	}
	if c.Lease <= 0 {
		c.Lease = defaultLease
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

// Store implements grading.Cache. It is safe for concurrent use. Make it with
// Open, end it with Close.
type Store struct {
	cfg  Config
	log  *slog.Logger
	keys keyspace
	// origin tells this store's own events from those of other processes.
	origin string

	memory   *memory
	embedded *embedded     // nil with a Redis of its own, or with none at all
	main     *redis.Client // nil with MemoryOnly
	shared   *redis.Client // where grades are shared; nil when nowhere
	breaker  *breaker      // of shared
	batches  *Batches      // nil with MemoryOnly
	lineage  lineage       // of main
	// live says that events of other processes are arriving, so that the
	// memory cache can be believed without asking.
	live atomic.Bool

	mu      sync.Mutex
	flights map[flightKey]*flight
	secret  []byte // of a store without any Redis

	stats      counters
	complaints complaints

	// ctx ends with Close. background counts the goroutines that end with it,
	// airborne the flights.
	ctx        context.Context
	cancel     context.CancelFunc
	background sync.WaitGroup
	airborne   sync.WaitGroup
}

// Open makes a Store. A Redis that does not answer is not an error here: the
// store works without it until it does, and Health says so. Errors are faulty
// URLs (ErrURL) and an embedded Redis that cannot listen; they hold no secrets.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	cfg.setDefaults()
	quietRedis(cfg.Logger)
	s := &Store{
		cfg:     cfg,
		log:     cfg.Logger,
		keys:    keyspace(cfg.Prefix),
		origin:  rand.Text(),
		flights: make(map[flightKey]*flight),
	}
	// Background work outlives the call that opened the store.
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			_ = s.Close() // the first error is the one to tell
		}
	}()
	if s.memory, err = newMemory(cfg.MemoryBytes, cfg.Now); err != nil {
		return nil, err
	}
	switch {
	case cfg.URL != "":
		if s.main, err = dial(cfg.URL, cfg.Budget); err == nil {
			err = s.openBatches(dial(cfg.URL, batchAttempt))
		}
	case !cfg.MemoryOnly:
		if s.embedded, err = startEmbedded(ctx); err == nil {
			s.spawn(func() { s.embedded.age(s.ctx) })
			s.main = s.embedded.client(cfg.Budget)
			err = s.openBatches(s.embedded.client(batchAttempt), nil)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	switch {
	case cfg.CacheURL != "":
		if s.shared, err = dial(cfg.CacheURL, cfg.Budget); err != nil {
			return nil, fmt.Errorf("open grade cache: %w", err)
		}
	case cfg.URL != "":
		s.shared = s.main
	}
	if err = s.trace(s.main, s.shared, s.batches.client()); err != nil {
		return nil, err
	}
	if s.shared == nil {
		// Alone in the world: nobody else's events to wait for.
		s.live.Store(true)
		return s, nil
	}
	s.breaker = newBreaker(s)
	s.spawn(s.listen)
	return s, nil
}

// spawn runs something in the background until the store closes.
func (s *Store) spawn(run func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil {
		s.background.Go(run)
	}
}

// farewell is how long Close waits for computations to notice that they end.
const farewell = 2 * time.Second

// Close ends computations that are still running and everything in the
// background. It may be called again.
func (s *Store) Close() error {
	s.mu.Lock()
	s.cancel()
	for _, f := range s.flights {
		if f.cancel != nil {
			f.cancel()
		}
	}
	s.mu.Unlock()
	s.background.Wait()
	landed := make(chan struct{})
	go func() {
		s.airborne.Wait()
		close(landed)
	}()
	select {
	case <-landed:
	case <-time.After(farewell):
		s.log.Warn("closing the store although a computation does not end")
	}
	var err error
	if s.shared != nil && s.shared != s.main {
		err = errors.Join(err, closeClient(s.shared))
	}
	if s.main != nil {
		err = errors.Join(err, closeClient(s.main))
	}
	if c := s.batches.client(); c != nil {
		err = errors.Join(err, closeClient(c))
	}
	if s.embedded != nil {
		s.embedded.close()
	}
	if s.memory != nil {
		s.memory.close()
	}
	return err
}

// closeClient closes a client; that it is closed already is no fault.
func closeClient(c *redis.Client) error {
	if err := c.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("close redis client: %w", err)
	}
	return nil
}
