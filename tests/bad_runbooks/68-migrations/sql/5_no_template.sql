select '{{ run.id }}';
