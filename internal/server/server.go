// Package server is the HTTP door: routes, strict decoding, problems, keys,
// the OpenAPI document and the lifecycle of the listener.
//
// It grades nothing and stores nothing; it states the small interfaces it
// needs and is given them. Exactly one function, Server.fail, writes a failure
// to the wire.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/trace"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Grader grades answers and keeps grades; *grading.Service is one.
type Grader interface {
	Grade(ctx context.Context, req grading.Request) (grading.Result, error)
	// Find returns a kept grade or grading.ErrNotFound.
	Find(ctx context.Context, key grading.Key) (*grading.Record, error)
	Forget(ctx context.Context, key grading.Key) error
}

// Library finds questions; *rubric.Library is one. Its errors match
// rubric.ErrNotFound.
type Library interface {
	Find(ref string) (*rubric.Question, error)
	Set(id string) (*rubric.Set, error)
	Sets() []*rubric.Set
}

// Health looks at what the service depends on. It is called for every request
// to /readyz and should answer within a second or two.
type Health func(context.Context) api.Readiness

// Exchange is one request answered, for metrics. It holds nothing that a caller
// wrote: Route is the pattern, empty for a path that is not ours.
type Exchange struct {
	Method, Route string
	Status        int
	// Cache is "hit", "miss", "shared" or empty.
	Cache string
	// Problem is the slug of the problem type, or empty.
	Problem string
	Took    time.Duration
}

// Config is what a Server is made of.
type Config struct {
	Grader  Grader  // required
	Library Library // required
	Health  Health  // nil: always ready
	// Keys says whose a request is; nil: everyone may in, as tenant "local".
	Keys *access.Ring
	// Limits hold keys to what they may use; nil: to nothing. Without a key there
	// are none.
	Limits *access.Limiter
	// Once remembers requests with an idempotency key; nil: those are refused.
	Once Once
	// MaxInFlight is how many answers are graded at once for everyone; whoever
	// comes then is turned away rather than queued. 0: no bound.
	MaxInFlight int

	// Batches takes batches in; nil: this service takes none.
	Batches Batches
	// CheckWebhook says what is wrong with an address that is to be told when a
	// batch is over, in words for whoever gave it; nil: nobody can be told.
	CheckWebhook func(address string) error

	Metrics http.Handler // /metrics; nil: no such path
	// Page answers / and the other paths of the web page (see pagePaths); nil: a
	// list of the endpoints at /.
	Page http.Handler
	// Session is the key that a browser's session stands for, or empty. It counts
	// as if it had been sent as a bearer key, unless one was. nil: no sessions.
	Session func(*http.Request) string
	// Hosts are the names that an open service on loopback goes by. A request for
	// another name comes from a page that pretends to be of this machine (DNS
	// rebinding) and is refused, as long as no key is needed. none: any name
	// will do.
	Hosts []string

	// Origins are the sites, as in "https://app.example", whose pages may call
	// the API from a browser; none: only our own.
	Origins []string

	MCP http.Handler // POST /mcp; nil: no such path

	Observe func(Exchange) // nil: nobody

	Tracers trace.TracerProvider // nil: nobody traces

	// StoreDown says whether an error means that kept grades cannot be reached;
	// the server does not know the store. nil: no error does.
	StoreDown func(error) bool

	Log *slog.Logger // required
	// GradeTimeout is the longest a grade may take, retries included; the time
	// to write an answer is set above it. 0 means two minutes.
	GradeTimeout time.Duration
	// DrainDelay is how long Shutdown goes on accepting connections with
	// readiness already red, so that a load balancer can notice.
	DrainDelay time.Duration
	// Version is shown by /healthz and in the OpenAPI document.
	Version string
}

// Limits of a connection. A body of api.MaxBody arrives within readTimeout at
// 18 KB a second.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	// writeSlack is what a slow reader has beyond the time to grade.
	writeSlack = 30 * time.Second
	// defaultGradeTimeout is used when Config names none.
	defaultGradeTimeout = 2 * time.Minute
)

// Server is the HTTP door. It is an http.Handler; Serve adds a listener with
// every timeout set.
type Server struct {
	cfg    Config
	log    *slog.Logger
	engine *gin.Engine
	http   *http.Server
	base   context.Context // ends when what is in progress must
	cancel context.CancelFunc
	// ending ends when replies without an end of their own are to end: before
	// those in progress are waited for.
	ending     context.Context
	endStreams context.CancelFunc
	times      patience
	origins    *http.CrossOriginProtection // of the page
	callers    *http.CrossOriginProtection // of the API
	openapi    []byte
	tracer     trace.Tracer // nil where nobody traces
	rows       []row

	draining atomic.Bool
	inFlight atomic.Int64 // answers being graded
	policies sync.Map     // limit -> []string, see policy
	uploads  atomic.Int64 // of batches
}

// New makes a Server. It does not listen yet.
func New(cfg Config) (*Server, error) {
	if cfg.Grader == nil || cfg.Library == nil || cfg.Log == nil {
		return nil, errors.New("server needs a grader, a library and a logger")
	}
	if cfg.GradeTimeout <= 0 {
		cfg.GradeTimeout = defaultGradeTimeout
	}
	if cfg.Health == nil {
		cfg.Health = func(context.Context) api.Readiness {
			return api.Readiness{Status: api.Ready, Checks: []api.Check{}}
		}
	}
	s := &Server{cfg: cfg, log: cfg.Log, origins: http.NewCrossOriginProtection(), callers: http.NewCrossOriginProtection(), rows: causes}
	for _, origin := range cfg.Origins {
		if err := s.callers.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	if cfg.StoreDown != nil {
		// First: such an error often holds a deadline too, but not the model's.
		s.rows = append([]row{{cfg.StoreDown, always(api.StoreUnavailable, "The store of grades does not answer.")}}, causes...)
	}
	if cfg.Tracers != nil {
		s.tracer = cfg.Tracers.Tracer("github.com/gradus-ai/gradus/internal/server")
	}
	if err := s.route(); err != nil {
		return nil, err
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.ending, s.endStreams = context.WithCancel(s.base)
	s.times = patient
	s.http = &http.Server{
		Handler:           s.engine,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      readTimeout + cfg.GradeTimeout + writeSlack,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return s.base },
	}
	return s, nil
}

// ServeHTTP answers one request, without the limits of a connection.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// Serve answers requests on l until Shutdown. It returns nil after a Shutdown.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown turns readiness red, refuses new grades, waits for those in progress
// and closes. When ctx ends first, what is still in progress is cancelled and
// ctx's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	defer s.cancel()
	if s.cfg.DrainDelay > 0 {
		timer := time.NewTimer(s.cfg.DrainDelay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	s.endStreams()
	err := s.http.Shutdown(ctx)
	if err == nil {
		return nil
	}
	s.cancel()
	return errors.Join(fmt.Errorf("wait for requests in progress: %w", err), s.http.Close())
}
