// Package app wires the house together: it makes every part from the
// configuration, runs them and stops them in order. It is the only package
// that knows everyone, and the only one that picks the clock.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/gradus-ai/gradus/internal/calibration"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/judge/lexical"
	"github.com/gradus-ai/gradus/internal/judge/model"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/prompt"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/telemetry"
	"github.com/gradus-ai/gradus/prompts"
)

// LocalTenant owns the grades made without any API keys.
const LocalTenant = "local"

// ErrSetting is wrapped by what New says of a setting that reads well and turns
// out to be of no use: a folder that is not there, a template with a fault, a
// URL with an unknown option.
var ErrSetting = errors.New("configuration")

// Options is what the program, rather than its operator, decides.
type Options struct {
	Logger  *slog.Logger
	Version string
	// OneShot is for a command that grades and ends: no metrics, no server, no
	// embedded Redis.
	OneShot bool
	// RedisBudget is how long one look at kept grades may hold a request up; 0
	// is the store's default, which suits a machine that has time to answer.
	RedisBudget time.Duration
	// LaxWebhooks lets webhooks go to these networks by plain http, which is for
	// tests: see webhook.Config.
	LaxWebhooks []netip.Prefix
	// Prepaid, where set, holds replies of the model that need not be asked for.
	Prepaid *llm.Prepaid
	// Secret, where set, takes the place of the configured one: for requests
	// that another process has to make again, word for word.
	Secret []byte
}

// App is the running program. Make it with New, end it with Close (or let Run
// do so).
type App struct {
	cfg     *config.Config
	options Options
	log     *slog.Logger

	shelf   *shelf
	prompts *prompt.Prompts
	// calibration is nil where none is set, traces where nobody traces.
	calibration *calibration.File
	traces      *telemetry.Telemetry
	store       *store.Store
	metrics     *metrics
	lexical     judge.Judge
	model       *model.Judge // nil without a model
	service     *grading.Service
	models      []string
	closers     []closer
}

// closer is one step of shutting down, named so that a failure says which.
type closer struct {
	name  string
	close func() error
}

// New makes an App from a valid configuration. What cannot be reached yet (a
// Redis, a model) does not stop it; what is wrong (a rubric, a prompt, a model
// to choose) does.
func New(ctx context.Context, cfg *config.Config, options Options) (_ *App, err error) {
	a := &App{cfg: cfg, options: options, log: options.Logger, metrics: newMetrics()}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if err = a.readFiles(); err != nil {
		return nil, err
	}
	if err = a.startTracing(ctx); err != nil {
		return nil, err
	}
	if a.store, err = a.openStore(ctx); err != nil {
		return nil, err
	}
	a.onClose("store", a.store.Close)
	a.metrics.watchStore(a.store)
	if err = a.makeJudges(ctx); err != nil {
		return nil, err
	}
	if a.service, err = a.grader(graderOptions{timeout: cfg.GradeTimeout}); err != nil {
		return nil, err
	}
	if err = a.useCalibration(); err != nil {
		return nil, err
	}
	return a, nil
}

// readFiles reads what the configuration names, and tells of every file that
// is wrong.
func (a *App) readFiles() error {
	var inRubrics, inPrompts, inCalibration error
	a.shelf, inRubrics = newShelf(a.cfg.Rubrics, a.log)
	a.prompts, inPrompts = loadPrompts(a.cfg.Prompts)
	a.calibration, inCalibration = loadCalibration(a.cfg.Calibration)
	return errors.Join(inRubrics, inPrompts, inCalibration)
}

// Probing is a service like Service, but one that lets an answer copy the
// sample, for probing a question set with its own samples. It keeps nothing
// between runs, and calibrates nothing: the questions are what is on trial.
func (a *App) Probing() (*grading.Service, error) {
	return a.grader(graderOptions{timeout: a.cfg.GradeTimeout, probing: true})
}

// makeJudges makes the judges that the configuration asks for. All services
// share them: with a model come limits and a memory of how it is doing.
func (a *App) makeJudges(ctx context.Context) (err error) {
	a.lexical = lexical.New()
	if !a.cfg.ModelConfigured() || a.cfg.Judge == grading.Lexical {
		return nil
	}
	a.model, err = a.modelJudge(ctx, a.lexical)
	return err
}

// graderOptions are what one grading service has of its own.
type graderOptions struct {
	timeout time.Duration
	// gate, where set, is put before each judge.
	gate    func(judge.Judge) judge.Judge
	probing bool
}

// grader makes a grading service over the judges.
func (a *App) grader(o graderOptions) (*grading.Service, error) {
	cfg := grading.Config{
		Lexical:           a.lexical,
		Cache:             a.store,
		Now:               time.Now,
		Timeout:           o.timeout,
		Observe:           a.metrics.graded,
		AllowSampleAnswer: o.probing,
	}
	if a.model != nil {
		cfg.Model = a.model
	}
	if o.gate != nil {
		cfg.Lexical = o.gate(cfg.Lexical)
		if cfg.Model != nil {
			cfg.Model = o.gate(cfg.Model)
		}
	}
	if a.cfg.Judge != grading.Auto {
		cfg.Default = a.cfg.Judge
	}
	if !o.probing {
		cfg.Calibration = a.calibration
	}
	service, err := grading.New(cfg)
	if errors.Is(err, calibration.ErrOtherJudge) {
		return nil, fmt.Errorf("%w: load %s: %w; fit it again with gradus eval GOLD.jsonl --calibrate", ErrSetting, a.cfg.Calibration, err)
	}
	return service, err
}

// openStore opens the store that the configuration asks for.
func (a *App) openStore(ctx context.Context) (*store.Store, error) {
	opened, err := store.Open(ctx, store.Config{
		URL:           a.cfg.RedisURL.Reveal(),
		CacheURL:      a.cfg.RedisCacheURL.Reveal(),
		MemoryOnly:    a.options.OneShot,
		Retention:     a.cfg.Retention,
		AllowVolatile: a.cfg.AllowVolatile,
		Budget:        a.options.RedisBudget,
		Tracers:       a.tracers(),
		Logger:        a.log,
	})
	if errors.Is(err, store.ErrURL) {
		return nil, fmt.Errorf("%w: %w", ErrSetting, err)
	}
	return opened, err
}

// Service grades answers.
func (a *App) Service() *grading.Service { return a.service }

// Library finds questions.
func (a *App) Library() *rubric.Library { return a.shelf.library }

// Prompts renders what a model is sent.
func (a *App) Prompts() *prompt.Prompts { return a.prompts }

// Close ends every part, the last made first. It may be called again.
func (a *App) Close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		if err := a.closers[i].close(); err != nil {
			a.log.Error("shutting down", "part", a.closers[i].name, "error", err)
		}
	}
	a.closers = nil
}

func (a *App) onClose(name string, close func() error) {
	a.closers = append(a.closers, closer{name, close})
}

func loadPrompts(folder string) (*prompt.Prompts, error) {
	if folder == "" {
		return prompt.New(prompts.FS)
	}
	_, err := os.Stat(folder)
	if err != nil {
		return nil, fmt.Errorf("%w: load prompts: %w", ErrSetting, err)
	}
	loaded, err := prompt.New(prompts.FS, os.DirFS(folder))
	if err != nil {
		return nil, fmt.Errorf("%w: load prompts from %s: %w", ErrSetting, folder, err)
	}
	return loaded, nil
}

// secret is the key for the markers around answers and for the page's sessions:
// the program's own, else the operator's, else one kept in Redis so that all
// processes agree, else one for this process.
func (a *App) secret(ctx context.Context) []byte {
	if a.options.Secret != nil {
		return a.options.Secret
	}
	if a.cfg.Secret != "" {
		return []byte(a.cfg.Secret.Reveal())
	}
	secret, err := a.store.Secret(ctx)
	if err == nil {
		return secret
	}
	// A marker of this process's own serves as well, being in no cache key;
	// sessions then end with the process.
	a.log.Warn("no shared secret for answer markers and sessions, using one of this process", "error", err)
	return []byte(rand.Text())
}
