#!/usr/bin/env node
import { restartWithMallocSettings } from '../dist/src/process/malloc-settings.js';

restartWithMallocSettings(process.env);
await import('../dist/src/main.js');
