// Package prompts holds the wording that a model is sent, one template a file.
//
// The number in a file's name is the version of the data that the template
// reads: it is raised when that data changes shape, so that a template written
// for another version is refused instead of half filled in. What each template
// is for stands in package internal/prompt.
package prompts

import "embed"

// FS holds the templates that ship with gradus.
//
//go:embed *.tmpl
var FS embed.FS
