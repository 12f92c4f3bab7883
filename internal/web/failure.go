package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/gradus-ai/gradus/internal/api"
)

// problemSheet is a failure as a page shows it.
type problemSheet struct {
	Status int
	Title  string
	Detail string
	Wait   string // when to try again; empty: nobody knows
	Lost   bool   // there is no such page
}

// lost answers for paths that lead nowhere.
func (p *Page) lost(http.ResponseWriter, *http.Request) error {
	return problemOf(api.NotFound, "")
}

// problemOf makes a failure of the page's own.
func problemOf(kind api.ProblemType, detail string) *api.Problem {
	return &api.Problem{Type: kind.Type, Title: kind.Title, Status: kind.Status, Detail: detail}
}

// asProblem is what went wrong in the words of the catalogue. What is no problem
// is our own fault.
func asProblem(err error) *api.Problem {
	var problem *api.Problem
	if errors.As(err, &problem) {
		return problem
	}
	return problemOf(api.Internal, "The page could not be made.")
}

// fail answers with a page that says what went wrong, or with the sign-in where
// a key is all that is missing.
func (p *Page) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to read it
	}
	problem := asProblem(err)
	if errors.Is(problem, api.KeyNeeded) && r.URL.Path != "/view" {
		http.Redirect(w, r, "/session?"+url.Values{"next": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
		return
	}
	if problem.Status >= http.StatusInternalServerError {
		p.cfg.Log.Error("page failed", "path", r.Pattern, "error", err)
	}
	show := describe(problem)
	title := "Something went wrong"
	if show.Lost {
		title = "Not found"
	}
	if err := p.render(w, r, problem.Status, "problem", sheet{Title: title, Content: show}); err != nil {
		p.cfg.Log.Error("page failed", "path", r.Pattern, "error", err)
		http.Error(w, problem.Title, problem.Status)
	}
}

func describe(problem *api.Problem) problemSheet {
	s := problemSheet{Status: problem.Status, Title: problem.Title + ".", Detail: problem.Detail, Lost: problem.Status == http.StatusNotFound}
	if problem.RetryAfter > 0 {
		s.Wait = waiting(problem.RetryAfter)
	}
	return s
}

// waiting is a time to wait, for people.
func waiting(d time.Duration) string {
	switch seconds := int(math.Ceil(d.Seconds())); {
	case seconds <= 1:
		return "in a second"
	case seconds < 100:
		return fmt.Sprintf("in %d seconds", seconds)
	default:
		return fmt.Sprintf("in %d minutes", (seconds+59)/60)
	}
}
