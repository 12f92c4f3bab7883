package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gradus-ai/gradus/internal/api"
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
	limits := a.limits()
	within := &inside{}
	page, err := a.page(ctx, within)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	door, err := server.New(server.Config{
		Grader:       a.service,
		Library:      a.shelf.library,
		Health:       a.health,
		Keys:         keys,
		Limits:       limits,
		Once:         a.store,
		MaxInFlight:  a.maxInFlight(),
		Page:         page,
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
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	within.handler = door
	a.announce(listener.Addr())

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return door.Serve(listener) })
	group.Go(func() error { return a.shelf.watch(ctx) })
	group.Go(func() error {
		keys.Watch(ctx)
		return nil
	})
	group.Go(func() error {
		limits.Watch(ctx)
		return nil
	})
	group.Go(func() error {
		a.complain(ctx)
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		a.log.Info("stopping: finishing what is in flight")
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.DrainDelay+a.cfg.GradeTimeout+drainSlack)
		defer cancel()
		return door.Shutdown(grace)
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

// announce says in one line which judge and which store are in use and how to
// switch, and in another where to look.
func (a *App) announce(addr net.Addr) {
	judgeHint, storeHint := "", ""
	judgeName := "model"
	if len(a.models) == 0 {
		judgeName = "lexical"
		judgeHint = "estimates without a model; set OPENAI_API_KEY or OPENAI_BASE_URL for a model"
	}
	storeName := "redis"
	if a.cfg.RedisURL == "" {
		storeName, storeHint = "in-process", a.passing()
	}
	a.log.Info("ready",
		"url", "http://"+browsable(addr),
		"judge", judgeName, "judge_hint", judgeHint, "models", a.models,
		"store", storeName, "store_hint", storeHint)
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
	if ip := net.ParseIP(host); ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
