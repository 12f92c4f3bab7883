package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/importer"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Exit codes are part of the interface; exitHelp prints this table.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitIncomplete  = 3
	exitGate        = 4
	exitInterrupted = 130
)

var exitMeanings = []struct {
	code    int
	meaning string
}{
	{exitOK, "done"},
	{exitFailure, "failed; a model or service that could not be reached too"},
	{exitUsage, "wrong usage, configuration or rubric"},
	{exitIncomplete, "done, but an answer failed or needs review"},
	{exitGate, "a gate was missed (--fail-under, --min-agreement, a probe)"},
	{exitInterrupted, "interrupted"},
}

func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes:")
	for _, e := range exitMeanings {
		fmt.Fprintf(&b, "\n%5d  %s", e.code, e.meaning)
	}
	return b.String()
}

// exitError ends the program with a code and says nothing: what there was to
// say has been said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit %d", e.code) }

// usageError is a fault of the command line.
type usageError struct{ err error }

func usage(err error) error { return &usageError{err} }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitCode maps an error to the code the program ends with.
func exitCode(err error) int {
	var (
		quiet   *exitError
		bad     *usageError
		invalid *config.InvalidError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &quiet):
		return quiet.code
	case errors.As(err, &bad), errors.As(err, &invalid),
		errors.Is(err, importer.ErrPage), errors.Is(err, rubric.ErrInvalid), errors.Is(err, rubric.ErrNotFound),
		errors.Is(err, grading.ErrNoModel), errors.Is(err, app.ErrChooseModel), errors.Is(err, app.ErrSetting),
		strings.HasPrefix(err.Error(), "unknown command"): // cobra has no type for it
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	default:
		return exitFailure
	}
}
