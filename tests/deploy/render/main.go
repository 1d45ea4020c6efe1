// SPDX-License-Identifier: GPL-2.0-or-later

// Renders the chart as `helm template` does, from Helm's own parts as far as Debian has them:
// text/template, sprig and sigs.k8s.io/yaml. What is here is the glue between them. Stricter than
// Helm in one thing: a value that does not exist is an error.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

type valueFiles []string

func (files *valueFiles) String() string { return strings.Join(*files, ",") }
func (files *valueFiles) Set(name string) error {
	*files = append(*files, name)
	return nil
}

func readYaml(name string) (map[string]interface{}, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	object := map[string]interface{}{}
	if err := yaml.UnmarshalStrict(text, &object); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return object, nil
}

// Objects are merged, everything else is replaced, and null takes a key away.
func overlay(below, above map[string]interface{}) map[string]interface{} {
	for key, value := range above {
		object, isObject := value.(map[string]interface{})
		lower, wasObject := below[key].(map[string]interface{})
		switch {
		case value == nil:
			delete(below, key)
		case isObject && wasObject:
			below[key] = overlay(lower, object)
		default:
			below[key] = value
		}
	}
	return below
}

func run() error {
	var files valueFiles
	release := flag.String("release", "sluice", "name of the release")
	namespace := flag.String("namespace", "sluice-system", "its namespace")
	kube := flag.String("kube-version", "v1.29.0", "version of the API server")
	printNotes := flag.Bool("notes", false, "print what Helm says after an installation instead")
	printValues := flag.Bool("values", false, "print the merged values as JSON instead")
	flag.Var(&files, "f", "file of values; more than one are laid over each other")
	flag.Parse()
	if flag.NArg() != 1 {
		return fmt.Errorf("usage: render [flags] CHART")
	}
	directory := flag.Arg(0)
	chart, err := readYaml(filepath.Join(directory, "Chart.yaml"))
	if err != nil {
		return err
	}
	values, err := readYaml(filepath.Join(directory, "values.yaml"))
	if err != nil {
		return err
	}
	for _, name := range files {
		above, err := readYaml(name)
		if err != nil {
			return err
		}
		values = overlay(values, above)
	}
	if *printValues {
		return json.NewEncoder(os.Stdout).Encode(values)
	}
	documents, notes, err := render(directory, scope(chart, values, *release, *namespace, *kube))
	if err != nil {
		return err
	}
	if *printNotes {
		fmt.Print(notes)
		return nil
	}
	fmt.Print(strings.Join(sortByKind(documents), ""))
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}
