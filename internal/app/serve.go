package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/server"
	"github.com/gradus-ai/gradus/internal/store"
)

// drainSlack is what shutting down may take beyond the delay that was asked for
// and the longest grade in flight.
const drainSlack = 5 * time.Second

// Run listens and serves until the context ends, then finishes what is in
// flight and closes every part.
func (a *App) Run(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Listen())
	if err != nil {
		a.Close()
		return fmt.Errorf("listen: %w", err)
	}
	return a.Serve(ctx, listener)
}

// Serve is Run on a listener of the caller's, which it closes.
func (a *App) Serve(ctx context.Context, listener net.Listener) error {
	defer a.Close()
	keys, err := a.keys(ctx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	h, err := a.house(ctx, keys)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	a.announce(listener.Addr(), keys.Guarded())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.door.Serve(listener) })
	group.Go(func() error {
		keys.Watch(ctx)
		return nil
	})
	group.Go(func() error {
		a.complain(ctx)
		return nil
	})
	group.Go(func() error { return h.run(ctx) })
	return group.Wait()
}

// serveWithin runs the service for nobody but a caller in this process, without
// keys and without a listener, until use returns.
func (a *App) serveWithin(ctx context.Context, use func(ctx context.Context, service http.RoundTripper) error) error {
	defer a.Close()
	h, err := a.house(ctx, nil)
	if err != nil {
		return err
	}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	group, running := errgroup.WithContext(running)
	group.Go(func() error { return h.run(running) })
	group.Go(func() error {
		defer end()
		return use(ctx, h.within)
	})
	return group.Wait()
}

// house is everything that a service consists of but a listener.
type house struct {
	app    *App
	door   *server.Server
	many   *batches
	limits *access.Limiter
	within *inside
}

// house builds the service; keys may be nil.
func (a *App) house(ctx context.Context, keys *access.Ring) (*house, error) {
	many, err := a.newBatches()
	if err != nil {
		return nil, err
	}
	h := &house{app: a, many: many, limits: a.limits(), within: &inside{}}
	page, err := a.page(ctx, h.within)
	if err != nil {
		return nil, err
	}
	h.door, err = server.New(server.Config{
		Grader:       a.service,
		Library:      a.shelf.library,
		Health:       a.health,
		Keys:         keys,
		Limits:       h.limits,
		Once:         a.store,
		MaxInFlight:  a.maxInFlight(),
		Batches:      many.service,
		CheckWebhook: many.checkWebhook(),
		Page:         page,
		MCP:          a.mcpHandler(h.within),
		Session:      page.Key,
		Hosts:        a.hosts(),
		Origins:      a.cfg.CORSOrigins,
		Metrics:      a.metrics.handler(),
		Observe:      a.metrics.exchange,
		Tracers:      a.tracers(),
		StoreDown:    func(err error) bool { return errors.Is(err, store.ErrUnavailable) },
		Log:          a.log,
		GradeTimeout: a.cfg.GradeTimeout,
		DrainDelay:   a.cfg.DrainDelay,
		Version:      a.options.Version,
	})
	h.within.handler = h.door
	return h, err
}

// run does what goes on behind the door until the context ends, and then closes
// the door.
func (h *house) run(ctx context.Context) error {
	a := h.app
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.many.run(ctx, a.cfg.GradeTimeout+drainSlack) })
	group.Go(func() error { return a.shelf.watch(ctx) })
	group.Go(func() error {
		h.limits.Watch(ctx)
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		a.log.Info("stopping: finishing what is in flight")
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.DrainDelay+a.cfg.GradeTimeout+drainSlack)
		defer cancel()
		return h.door.Shutdown(grace)
	})
	return group.Wait()
}

// hosts are the names that requests must use, where nothing but the name keeps
// the pages of other sites out: on an open service that only this machine
// reaches.
func (a *App) hosts() []string {
	if a.cfg.InsecureOpen || !a.cfg.Loopback() {
		return nil
	}
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(a.cfg.Listen()); err == nil && !slices.Contains(names, host) {
		names = append(names, host)
	}
	return names
}

// announce says in one line where to look, which judge and which store are in
// use and how to switch, and whether a key is needed.
func (a *App) announce(addr net.Addr, guarded bool) {
	keysName := "none"
	if guarded {
		keysName = "needed"
	}
	judgeHint, storeHint := "", ""
	if len(a.models) == 0 {
		judgeHint = "estimates without a model; set OPENAI_API_KEY or OPENAI_BASE_URL for a model"
	}
	storeName := "redis"
	if a.cfg.RedisURL == "" {
		storeName, storeHint = "in-process", a.passing()
	}
	a.log.Info("ready",
		"url", "http://"+browsable(addr),
		"judge", a.judgeName(), "judge_hint", judgeHint, "models", a.models,
		"store", storeName, "store_hint", storeHint,
		"keys", keysName)
}

// judgeName is the judge that is asked where nobody chooses.
func (a *App) judgeName() string {
	if len(a.models) == 0 {
		return grading.Lexical
	}
	return grading.Model
}

// passing says what a store without a Redis of its own keeps.
func (a *App) passing() string {
	if a.cfg.RedisCacheURL != "" {
		return "only cached grades outlive this process; set REDIS_URL for Redis"
	}
	return "nothing outlives this process; set REDIS_URL for Redis"
}

// complain says what is amiss at the start: a Redis that does not answer, or one
// that loses what it is given. It does not hold the start up; /readyz goes on
// saying it.
func (a *App) complain(ctx context.Context) {
	for _, c := range a.health(ctx).Checks {
		if c.Status != api.Ready && ctx.Err() == nil {
			a.log.Warn("not as it should be", "part", c.Name, "status", string(c.Status), "detail", c.Detail)
		}
	}
}

// browsable is the address as a person would type it on this machine.
func browsable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	// On some machines localhost is 127.0.0.1 alone.
	if ip := net.ParseIP(host); ip != nil && (ip.IsUnspecified() || ip.IsLoopback() && ip.To4() != nil) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
