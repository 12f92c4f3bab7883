// Command gradus grades written interview answers against rubrics: one answer,
// a folder of question sets, or a service that other programs call.
package main

import (
	"context"
	"os"
	"runtime/debug"
)

// version is set by the linker (see Makefile).
var version string

// release is the version, or what the go command knows of it, as after go install.
func release() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
