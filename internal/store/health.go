package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Mode says where things are kept.
type Mode string

// Memory keeps grades in this process and nothing else; Embedded adds a Redis
// inside it; Redis is a server of its own.
const (
	Memory   Mode = "memory"
	Embedded Mode = "embedded"
	Redis    Mode = "redis"
)

// Health is what the store found about itself. It holds no secrets.
type Health struct {
	Mode Mode `json:"mode"`
	// Main holds what must not be lost; absent when there is only memory.
	Main *Server `json:"main,omitempty"`
	// Cache is the second Redis for grades; absent when there is none.
	Cache *Server `json:"cache,omitempty"`
	// Skipping is true while grading goes on without a shared cache, because
	// that does not answer.
	Skipping bool `json:"skipping"`
}

// Ready reports whether requests should be sent here: what was configured to
// keep things safe is there and takes writes.
func (h Health) Ready() bool { return h.Mode != Redis || h.Main.Reachable }

// Degraded reports whether something is amiss that grading works without.
func (h Health) Degraded() bool {
	return h.Skipping ||
		(h.Main != nil && (!h.Main.Reachable || len(h.Main.Warnings) > 0)) ||
		(h.Cache != nil && (!h.Cache.Reachable || len(h.Cache.Warnings) > 0))
}

// Durable reports whether what is accepted outlives this process and that
// server. It is true where the server does not say.
func (h Health) Durable() bool { return h.Mode == Redis && h.Main.Durable }

// Server is the state of one Redis.
type Server struct {
	// URL without user, password and parameters; empty when embedded.
	URL string `json:"url,omitempty"`
	// Reachable is true when a write was made and acknowledged.
	Reachable bool `json:"reachable"`
	// Fault says why not.
	Fault string `json:"fault,omitempty"`
	// Durable is true on a server that appends every write to a file and never
	// evicts, and on one that does not say.
	Durable bool `json:"durable"`
	// Version as the server gives it.
	Version string `json:"version,omitempty"`
	// AppendOnly is nil and Policy empty where the server does not say.
	AppendOnly *bool  `json:"append_only,omitempty"`
	Policy     string `json:"maxmemory_policy,omitempty"`
	// UsedBytes of MaxBytes; MaxBytes 0 is no limit.
	UsedBytes int64 `json:"used_bytes,omitempty"`
	MaxBytes  int64 `json:"max_bytes,omitempty"`
	// SkewSeconds is how far the server's clock is ahead of this process's.
	SkewSeconds float64 `json:"skew_seconds"`
	// Warnings say what should be changed, for a person.
	Warnings []string `json:"warnings,omitempty"`
	oom      bool     // it refused a write for want of memory
}

const (
	// mostSkew is how far two clocks may be apart before leases and deadlines
	// kept as times begin to mean different things.
	mostSkew = 5 * time.Second
	// full is the share of its memory at which a server that never evicts is
	// close to refusing writes.
	full = .8
	// oldest is the first version of Redis that everything here is meant for;
	// those before 5 refuse scripts that ask for the time and then write.
	oldest = 6
)

// Health asks every Redis how it is, and writes to each: one whose disk is full
// answers PING. It takes two seconds at most.
func (s *Store) Health(ctx context.Context) Health {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h := Health{Mode: Memory}
	switch {
	case s.embedded != nil:
		h.Mode = Embedded
	case s.main != nil:
		h.Mode = Redis
	}
	second := make(chan *Server, 1)
	if s.shared != nil && s.shared != s.main {
		go func() { second <- s.examine(ctx, s.shared, s.cfg.CacheURL, evictable) }()
	} else {
		second <- nil
	}
	switch h.Mode {
	case Redis:
		h.Main = s.examine(ctx, s.main, s.cfg.URL, lasting)
	case Embedded:
		h.Main = s.examine(ctx, s.main, "", passing)
	}
	h.Cache = <-second
	h.Skipping = s.breaker != nil && s.breaker.open.Load()
	return h
}

// purpose is what a Redis is for, and so what it is expected to be.
type purpose int

const (
	lasting   purpose = iota // loses nothing
	evictable                // may lose anything
	passing                  // ends with this process
)

func (s *Store) examine(ctx context.Context, c *redis.Client, rawURL string, p purpose) *Server {
	out := &Server{}
	if rawURL != "" {
		out.URL = redacted(rawURL)
	}
	sent := s.cfg.Now()
	pipe := c.Pipeline()
	write := pipe.Set(ctx, s.keys.probe(s.origin), sent.UnixMilli(), 10*time.Second)
	clock := pipe.Time(ctx)
	_, _ = pipe.Exec(ctx) // each command is looked at below
	if err := write.Err(); err != nil {
		out.Fault, out.oom = explain(err), redis.HasErrorPrefix(err, "OOM")
		return out
	}
	out.Reachable = true
	if p == passing {
		return out
	}
	if at, err := clock.Result(); err == nil {
		// The server read its clock somewhere between the two readings here.
		back := s.cfg.Now()
		skew := at.Sub(sent.Add(back.Sub(sent) / 2))
		out.SkewSeconds = math.Round(skew.Seconds()*1000) / 1000
		if skew.Abs() > mostSkew {
			out.warn("its clock differs from this machine's by %s: synchronise both", skew.Round(time.Second))
		}
	}
	run := s.inspect(ctx, c, out)
	if p == lasting {
		out.judge()
		s.lineage.trace(ctx, s, c, run, out)
	}
	return out
}

// inspect fills in what the server says about itself, and returns which run of
// the server it is; empty where it does not say.
func (s *Store) inspect(ctx context.Context, c *redis.Client, out *Server) (run string) {
	info, err := c.Info(ctx).Result()
	if err != nil {
		out.warn("it does not answer INFO (%s): whether it keeps every write is unknown", explain(err))
		return ""
	}
	fields := make(map[string]string)
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	out.Version = fields["redis_version"]
	if v := fields["valkey_version"]; v != "" {
		out.Version = "valkey " + v
	}
	if v, ok := fields["aof_enabled"]; ok {
		on := v == "1"
		out.AppendOnly = &on
	}
	out.Policy = fields["maxmemory_policy"]
	out.UsedBytes, _ = strconv.ParseInt(fields["used_memory"], 10, 64) // 0 where it does not say
	out.MaxBytes, _ = strconv.ParseInt(fields["maxmemory"], 10, 64)
	// Some managed servers leave these out of INFO but answer CONFIG.
	if out.Policy == "" {
		out.Policy = configured(ctx, c, "maxmemory-policy")
	}
	if out.AppendOnly == nil {
		if v := configured(ctx, c, "appendonly"); v != "" {
			on := v == "yes"
			out.AppendOnly = &on
		}
	}
	if fields["aof_last_write_status"] == "err" {
		out.warn("its last write to the append-only file failed")
	}
	if out.MaxBytes > 0 && out.Policy == "noeviction" && float64(out.UsedBytes) > full*float64(out.MaxBytes) {
		out.warn("its memory is %d%% full", 100*out.UsedBytes/out.MaxBytes)
	}
	return fields["run_id"]
}

// configured is a setting of the server; empty where CONFIG is forbidden.
func configured(ctx context.Context, c *redis.Client, name string) string {
	values, err := c.ConfigGet(ctx, name).Result()
	if err != nil {
		return ""
	}
	return values[name]
}

// judge says whether the server keeps what it is given.
func (s *Server) judge() {
	s.Durable = true
	major, _, _ := strings.Cut(s.Version, ".")
	if n, err := strconv.Atoi(major); err == nil && n < oldest {
		s.warn("its version is older than %d: update it", oldest)
	}
	switch {
	case s.AppendOnly == nil:
		s.warn("whether it writes an append-only file is unknown: make sure that it does")
	case !*s.AppendOnly:
		s.Durable = false
		s.warn("it writes no append-only file and loses what it was given when it stops: set appendonly yes")
	}
	switch s.Policy {
	case "noeviction":
	case "":
		s.warn("its eviction policy is unknown: make sure that it is noeviction")
	default:
		s.Durable = false
		s.warn("it drops keys when its memory is full (%s): set maxmemory-policy noeviction", s.Policy)
	}
}

func (s *Server) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// explain is an error fit for /readyz: what kind, without addresses.
func explain(err error) string {
	switch {
	case isReply(err):
		// The first word of an error reply is its kind: MISCONF, OOM, LOADING,
		// NOAUTH. The rest may hold paths.
		kind, _, _ := strings.Cut(err.Error(), " ")
		switch kind {
		case "MISCONF":
			return "it refuses writes because its disk failed or is full (MISCONF)"
		case "OOM":
			return "it refuses writes because its memory is full (OOM)"
		case "LOADING":
			return "it is still loading its data (LOADING)"
		case "READONLY":
			return "it is a read-only replica (READONLY)"
		case "NOAUTH", "WRONGPASS", "NOPERM":
			return "it refuses this user or password (" + kind + ")"
		}
		return "it answered with an error (" + kind + ")"
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return "it did not answer in time"
	default:
		return "it cannot be reached"
	}
}
