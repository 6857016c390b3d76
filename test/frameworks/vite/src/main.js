import './style.css';
import { count } from './count.js';

const button = document.querySelector('button');
button.addEventListener('click', count);

console.log(import.meta.env.DEV ? 'in development' : 'in production');
import.meta.hot?.accept();
