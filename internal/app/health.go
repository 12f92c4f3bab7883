package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/store"
)

// health is what /readyz answers: not ready while a configured Redis is down,
// degraded where grading works without what is amiss.
func (a *App) health(ctx context.Context) api.Readiness {
	kept := a.store.Health(ctx)
	checks := []api.Check{a.storeCheck(kept)}
	if kept.Cache != nil {
		checks = append(checks, redisCheck("cache", kept.Cache, api.Degraded))
	}
	checks = append(checks, a.rubricsCheck(), a.judgeCheck())

	r := api.Readiness{Status: api.Ready, Checks: checks}
	for _, c := range checks {
		if c.Status == api.Unready || (c.Status == api.Degraded && r.Status == api.Ready) {
			r.Status = c.Status
		}
	}
	return r
}

func (a *App) storeCheck(kept store.Health) api.Check {
	if kept.Mode != store.Redis {
		return api.Check{Name: "store", Status: api.Ready,
			Detail: "in-process: " + a.passing()}
	}
	check := redisCheck("store", kept.Main, api.Unready)
	if kept.Skipping && check.Status == api.Ready {
		check.Status, check.Detail = api.Degraded, "grading goes on without the shared cache, which did not answer just now"
	}
	return check
}

// redisCheck words the state of one Redis; down is what it means when that is
// not there.
func redisCheck(name string, s *store.Server, down api.ReadyState) api.Check {
	check := api.Check{Name: name, Status: api.Ready, Detail: "redis " + s.Version}
	switch {
	case !s.Reachable:
		check.Status, check.Detail = down, s.Fault
	case len(s.Warnings) > 0:
		check.Status, check.Detail = api.Degraded, strings.Join(s.Warnings, "; ")
	}
	return check
}

func (a *App) rubricsCheck() api.Check {
	if a.shelf.Fault() != "" {
		// The fault itself may quote a file: it is for the log, not for strangers.
		return api.Check{Name: "rubrics", Status: api.Degraded,
			Detail: "the newest rubrics have a fault and the old ones are in use; the log says which"}
	}
	return api.Check{Name: "rubrics", Status: api.Ready, Detail: fmt.Sprintf("%d in use", len(a.shelf.library.Sets()))}
}

func (a *App) judgeCheck() api.Check {
	if len(a.models) == 0 {
		return api.Check{Name: "judge", Status: api.Ready, Detail: "lexical: an estimate without a model"}
	}
	return api.Check{Name: "judge", Status: api.Ready, Detail: "model: " + strings.Join(a.models, ", ")}
}
