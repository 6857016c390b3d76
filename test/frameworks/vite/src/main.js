import './style.css';
import { count } from './count.js';

const button = document.querySelector('button');
button.addEventListener('click', count);

import.meta.hot?.accept();
